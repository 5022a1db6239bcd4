"""Buffers of sealed objects: read-only views of the store's own bytes, and writable private ones.

A large writable buffer is a private mapping of the arena's own pages, so that only written pages are copied; it holds the
object.  A small one, and any on huge pages, is copied at once.  Neighbours: handles.pyx; store/object_store.py decides from
which size on a mapping pays.
"""


cdef class StoreBuffer:
    """Bytes of the store, or a copy of them, behind the buffer protocol."""

    def __init__(self):
        raise TypeError("buffers of the store are made by the store")

    def __getbuffer__(self, Py_buffer* buffer, int flags):
        PyBuffer_FillInfo(buffer, self, self.data, self.size, self.readonly, flags)

    def __len__(self):
        return self.size


@cython.no_gc_clear  # __dealloc__ needs the owner, also when the garbage collector breaks a cycle
cdef class View(StoreBuffer):
    """Read-only bytes of a sealed object; keeps the object and the mapping as long as the view is in use."""

    def __dealloc__(self):
        if self.owner is None:
            return
        forget_view(self)
        if self.reads and is_own(self.owner.R):
            read_end(self.owner.R, self.owner.index)
        region_leave(self.owner.R)


cdef PyObject* views = NULL    # the last view made in this process


cdef void list_view(View v) noexcept:
    global views
    cdef View last
    v.before = views
    if views:
        last = <View>views
        last.after = <PyObject*>v
    views = <PyObject*>v


cdef void forget_view(View v) noexcept:
    global views
    cdef View other
    if v.before:
        other = <View>v.before
        other.after = v.after
    if v.after:
        other = <View>v.after
        other.before = v.before
    else:
        views = v.before


def keep_views_for_child():
    """Keeps objects that have a view until this process ends, before a fork: the child will read them and has no holder bit."""
    cdef PyObject* v = views
    while v:
        if is_own((<View>v).owner.R):
            handle_add((<View>v).owner.R, (<View>v).owner.index)
            if (<View>v).reads:
                read_again((<View>v).owner.R, (<View>v).owner.index)
        v = (<View>v).before


cdef View make_view(ObjectID owner, char* data, uint64_t size):
    """A view of bytes that stay in place: those of an object that can't be spilled, or that this process reads now."""
    cdef View v = View.__new__(View)
    if data < owner.R.arena or data + size > owner.R.arena + owner.R.h.arena_bytes:
        if data < owner.R.meta or data + size > owner.R.meta + owner.R.h.control_bytes:
            raise RaySystemError("an object lies outside the region")
    v.reads = spillable(owner.R, object_at(owner.R, owner.index))
    if v.reads:
        check(read_begin(owner.R, owner.index))
    v.owner = owner
    list_view(v)
    v.data = data
    v.size = <Py_ssize_t>size
    v.readonly = True
    owner.R.users += 1
    return v


@cython.no_gc_clear  # the mapping must end before its source does
cdef class Private(StoreBuffer):
    """Writable bytes of this process alone, 64-byte aligned."""

    def __dealloc__(self):
        if self.mapped:
            munmap(self.base, self.mapped)
        else:
            free(self.base)
