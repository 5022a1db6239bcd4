# cython: language_level=3, boundscheck=False, wraparound=False, cdivision=True, initializedcheck=False
"""The core: shared memory, allocator, ids, references, ready sets, tasks and slots. Mechanism only, no policy.

One extension; each noun is a file of `_core.src`, included here from the bottom up.  layout.h is the shared region's
document, sync.h the lock with its undo log.  It imports only ray_lite.exceptions.
"""
import sys

cimport cython
from cpython.buffer cimport PyBUF_SIMPLE, PyBUF_WRITE, PyBuffer_FillInfo, PyBuffer_Release, PyObject_GetBuffer
from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_FromStringAndSize, PyBytes_GET_SIZE
from cpython.dict cimport PyDict_GetItem
from cpython.exc cimport PyErr_CheckSignals
from cpython.float cimport PyFloat_AS_DOUBLE
from cpython.list cimport PyList_GET_SIZE, PyList_New, PyList_SET_ITEM
from cpython.long cimport PyLong_AsLongLongAndOverflow
from cpython.memoryview cimport PyMemoryView_FromMemory
from cpython.object cimport PyObject
from cpython.ref cimport Py_INCREF
from cpython.tuple cimport PyTuple_GET_SIZE
from cpython.unicode cimport PyUnicode_DecodeUTF8
from libc.errno cimport EAGAIN, EINTR, EIO, ETIMEDOUT, errno
from libc.stdlib cimport calloc, free, malloc
from libc.string cimport memcmp, memcpy, memset, strerror
from posix.mman cimport MAP_ANONYMOUS, MAP_FAILED, MAP_NORESERVE, MAP_PRIVATE, MAP_SHARED, PROT_READ, PROT_WRITE, mmap, munmap
from posix.stdlib cimport posix_memalign
from posix.unistd cimport SEEK_END, lseek

include "_core.src/region.pyx"
include "_core.src/memory.pyx"
include "_core.src/records.pyx"
include "_core.src/scheduling.pyx"
include "_core.src/tasks.pyx"
include "_core.src/verify.pyx"
include "_core.src/python.pyx"

DRIVER, NODE, WORKER = RL_DRIVER, RL_NODE, RL_WORKER
CPU, GPU, CUSTOM = RL_CPU, RL_GPU, RL_CUSTOM
ERROR = RL_ERROR
PENDING, CREATING, SEALED = RL_PENDING, RL_CREATING, RL_SEALED
NO_INLINE, WRITABLE_ARGS = RL_NO_INLINE, RL_WRITABLE_ARGS

rl_watch_forks()
