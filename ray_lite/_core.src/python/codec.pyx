"""A byte code for plain values, so that common small arguments and results need no pickle.

Plain: None, bool, int of 64 bits, float, str, bytes, and one level of tuple, list or dict (str keys) of these, of exact types
only (a subclass may behave differently; nesting would lose shared references).  One tag byte, then the value in native byte
order: the region never leaves the machine.  Encoding a value that is not plain returns NOT_PLAIN and raises nothing.
"""
cdef enum:
    NOT_PLAIN = -1
    ITEMS_MOST = 255


cdef inline Py_ssize_t put_bytes(char tag, const char* data, Py_ssize_t n, char* out, Py_ssize_t room) noexcept:
    cdef uint32_t length = <uint32_t>n
    if n + 5 > room:
        return NOT_PLAIN
    out[0] = tag
    memcpy(out + 1, &length, 4)
    memcpy(out + 5, data, n)
    return n + 5


cdef Py_ssize_t encode_scalar(object x, char* out, Py_ssize_t room) noexcept:
    """Writes a scalar to `out`; returns the bytes written, or NOT_PLAIN."""
    cdef int overflow = 0
    cdef long long i
    cdef double d
    cdef Py_ssize_t n = 0
    cdef const char* s
    cdef type t = type(x)
    if room < 1:
        return NOT_PLAIN
    if x is None or t is bool:
        out[0] = b'N' if x is None else (b'T' if x is True else b'F')
        return 1
    if t is int:
        i = PyLong_AsLongLongAndOverflow(x, &overflow)
        if overflow or room < 9:
            return NOT_PLAIN
        out[0] = b'i'
        memcpy(out + 1, &i, 8)
        return 9
    if t is float:
        if room < 9:
            return NOT_PLAIN
        d = PyFloat_AS_DOUBLE(x)
        out[0] = b'f'
        memcpy(out + 1, &d, 8)
        return 9
    if t is str:
        s = PyUnicode_AsUTF8AndSize(x, &n)
        if s == NULL:
            PyErr_Clear()  # a lone surrogate, which pickle can write
            return NOT_PLAIN
        return put_bytes(b's', s, n, out, room)
    if t is bytes:
        return put_bytes(b'b', PyBytes_AS_STRING(x), PyBytes_GET_SIZE(x), out, room)
    return NOT_PLAIN


cdef Py_ssize_t encode_items(object x, char* out, Py_ssize_t room) noexcept:
    """Writes a tuple or list of scalars to `out`; returns the bytes written, or NOT_PLAIN."""
    cdef Py_ssize_t n = PyTuple_GET_SIZE(x) if type(x) is tuple else PyList_GET_SIZE(x)
    cdef Py_ssize_t at = 2
    cdef Py_ssize_t k, one
    if n > ITEMS_MOST or room < 2:
        return NOT_PLAIN
    out[0] = b't' if type(x) is tuple else b'l'
    out[1] = <char>n
    for k in range(n):
        one = encode_scalar((<tuple>x)[k] if type(x) is tuple else (<list>x)[k], out + at, room - at)
        if one < 0:
            return NOT_PLAIN
        at += one
    return at


cdef Py_ssize_t encode_dict(dict x, char* out, Py_ssize_t room) noexcept:
    cdef Py_ssize_t at = 2
    cdef Py_ssize_t one
    if len(x) > ITEMS_MOST or room < 2:
        return NOT_PLAIN
    out[0] = b'd'
    out[1] = <char>len(x)
    for key, value in x.items():
        if type(key) is not str:
            return NOT_PLAIN
        one = encode_scalar(key, out + at, room - at)
        if one < 0:
            return NOT_PLAIN
        at += one
        one = encode_scalar(value, out + at, room - at)
        if one < 0:
            return NOT_PLAIN
        at += one
    return at


cdef Py_ssize_t encode_plain(object x, char* out, Py_ssize_t room) noexcept:
    """Writes a value to `out`; returns the bytes written, or NOT_PLAIN (also when there is not enough room)."""
    cdef type t = type(x)
    if t is tuple or t is list:
        return encode_items(x, out, room)
    if t is dict:
        return encode_dict(x, out, room)
    return encode_scalar(x, out, room)


cdef object decode_scalar(const char** at, const char* end):
    """The scalar at `*at`, which is moved behind it. Checks all lengths: a crashed worker may have written anything."""
    cdef const char* p = at[0]
    cdef char tag
    cdef uint32_t n
    cdef int64_t i
    cdef double d
    if end - p < 1:
        raise RaySystemError("a plain value ends too early")
    tag = p[0]
    at[0] = p + 1
    if tag == b'N':
        return None
    if tag == b'T':
        return True
    if tag == b'F':
        return False
    if tag == b'i' and end - p >= 9:
        memcpy(&i, p + 1, 8)
        at[0] = p + 9
        return i
    if tag == b'f' and end - p >= 9:
        memcpy(&d, p + 1, 8)
        at[0] = p + 9
        return d
    if (tag == b's' or tag == b'b') and end - p >= 5:
        memcpy(&n, p + 1, 4)
        if end - p - 5 >= n:
            at[0] = p + 5 + n
            return PyUnicode_DecodeUTF8(p + 5, n, NULL) if tag == b's' else PyBytes_FromStringAndSize(p + 5, n)
    raise RaySystemError("a plain value is damaged")


cdef object decode_plain(const char** at, const char* end):
    """The value at `*at`, which is moved behind it."""
    cdef const char* p = at[0]
    if end - p >= 2 and (p[0] == b't' or p[0] == b'l' or p[0] == b'd'):
        at[0] = p + 2
        return decode_items(p[0], <unsigned char>p[1], at, end)
    return decode_scalar(at, end)


cdef object decode_items(char tag, int n, const char** at, const char* end):
    cdef list items
    cdef dict pairs
    cdef int _
    if tag == b'd':
        pairs = {}
        for _ in range(n):
            key = decode_scalar(at, end)
            pairs[key] = decode_scalar(at, end)
        return pairs
    items = [decode_scalar(at, end) for _ in range(n)]
    return items if tag == b'l' else tuple(items)


def encode(value) -> bytes | None:
    """The byte code of a plain value of at most 1,000 bytes, or None."""
    cdef char room[1000]
    cdef Py_ssize_t n = encode_plain(value, room, 1000)
    return None if n < 0 else room[:n]


def decode(bytes data):
    """The value of a byte code."""
    cdef const char* at = data
    return decode_plain(&at, <const char*>data + len(data))
