"""Call sites: where in the user's code a call is made, as the index of the object that holds the text.

The Python function given to `set_call_sites` makes the text once per place; from then on a call only inspects its frame.
A small cache finds places by (code object, instruction).  It keeps the code objects alive, so that no other one gets their
address.  The function is asked again for a place that was pushed out of the cache.  Neighbours: calls/call_sites.py makes the
objects.
"""
cdef extern from * nogil:
    """
    #include <frameobject.h>
    #if PY_VERSION_HEX < 0x030b0000
    #define rl_instruction(frame) (((PyFrameObject *)(frame))->f_lasti)
    #else
    #define rl_instruction(frame) PyFrame_GetLasti((PyFrameObject *)(frame))
    #endif
    #define rl_caller() ((PyObject *)PyEval_GetFrame())
    #define rl_code_of(frame) ((PyObject *)PyFrame_GetCode((PyFrameObject *)(frame)))
    #define rl_back(frame) ((PyObject *)PyFrame_GetBack((PyFrameObject *)(frame)))
    #define RL_PLACES 256
    static struct rl_call_place { PyObject *code; int instruction; uint32_t site; } rl_places[RL_PLACES];
    """
    enum:
        RL_PLACES
    ctypedef struct rl_call_place "struct rl_call_place":
        PyObject* code
        int instruction
        uint32_t site
    rl_call_place* rl_places
    int rl_instruction(PyObject* frame)
    PyObject* rl_caller()
    PyObject* rl_code_of(PyObject* frame)
    PyObject* rl_back(PyObject* frame)
    void Py_XDECREF(PyObject* x)
    void Py_XINCREF(PyObject* x)
    void Py_DECREF(PyObject* x)
cdef uint32_t OURS = 0xfffffffe   # stands for a frame of our own files
cdef object ask_call_site = None   # function(file, line, name) -> index
cdef str own_folder = ""      # frames of files in it are passed over: they make calls for their caller


def set_call_sites(ask, str folder):
    """Starts or stops recording where calls are made.

    Args:
        ask: function(file, line, function's name) -> index of an object with the text, or 0; None: nothing is recorded.
        folder: frames of files in it are passed over.
    """
    global ask_call_site, own_folder
    cdef Py_ssize_t k
    cdef PyObject* code
    ask_call_site, own_folder = ask, folder
    for k in range(RL_PLACES):
        code, rl_places[k].code = rl_places[k].code, NULL
        Py_XDECREF(code)


cdef inline rl_call_place* place_of(PyObject* frame, PyObject** code) noexcept:
    """Entry of the cache that may hold the frame's place; `code`: set to the frame's code object."""
    code[0] = rl_code_of(frame)
    Py_DECREF(code[0])  # the frame has a reference, too
    return &rl_places[(<size_t>code[0] // 64 + <size_t>rl_instruction(frame)) % RL_PLACES]


cdef uint32_t site_asked(object frame) except? 0xffffffff:
    cdef PyObject* code
    cdef PyObject* old
    cdef uint32_t site = OURS
    cdef rl_call_place* known
    if not frame.f_code.co_filename.startswith(own_folder):
        site = ask_call_site(frame.f_code.co_filename, frame.f_lineno or 0, frame.f_code.co_name)
    known = place_of(<PyObject*>frame, &code)
    old = known.code
    Py_INCREF(<object>code)
    known.code, known.instruction, known.site = code, rl_instruction(<PyObject*>frame), site
    Py_XDECREF(old)
    return site


cdef uint32_t site_of(PyObject* frame) except? 0xffffffff:
    """Site of a frame's place, or OURS if the frame is to be passed over; asks for the site of a new place."""
    cdef PyObject* code
    cdef rl_call_place* known = place_of(frame, &code)
    if known.code == code and known.instruction == rl_instruction(frame):
        return known.site
    return site_asked(<object>frame)


cdef uint32_t site_here() except? 0xffffffff:
    """Site of the call that is being made, or 0."""
    cdef PyObject* frame = rl_caller() if ask_call_site is not None else NULL
    cdef PyObject* outer = NULL
    cdef uint32_t site = OURS
    Py_XINCREF(frame)
    while frame != NULL and site == OURS:
        try:
            site = site_of(frame)
            outer = rl_back(frame) if site == OURS else NULL
        finally:
            Py_DECREF(frame)
        frame = outer
    return 0 if site == OURS else site
