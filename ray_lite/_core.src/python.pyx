"""What Python sees of the core: the classes and functions of `ray_lite._core`.

Thin wrappers around the layers below: they check arguments, drop and take the GIL, and turn results into values and exceptions.
Must not choose limits, timeouts or retries: these are arguments.
"""
import sys

cimport cython
from cpython.buffer cimport PyBUF_SIMPLE, PyBUF_WRITE, PyBuffer_FillInfo, PyBuffer_Release, PyObject_GetBuffer
from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_FromStringAndSize, PyBytes_GET_SIZE
from cpython.contextvars cimport PyContextVar_New, PyContextVar_Set, get_value
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
from libc.errno cimport EAGAIN, EIO, ETIMEDOUT, errno
from libc.stdlib cimport calloc, free, malloc
from libc.string cimport memcmp, memcpy, memset, strerror
from posix.mman cimport MAP_ANONYMOUS, MAP_FAILED, MAP_NORESERVE, MAP_PRIVATE, MAP_SHARED, PROT_READ, PROT_WRITE, mmap, munmap
from posix.stdlib cimport posix_memalign
from posix.unistd cimport SEEK_END, close, lseek

include "python/errors.pyx"
include "python/mapping.pyx"
include "python/codec.pyx"
include "python/handles.pyx"
include "python/views.pyx"
include "python/region.pyx"
include "python/callsite.pyx"
include "python/cwd_watch.pyx"
include "python/traces.pyx"
include "python/running_call.pyx"
include "python/current_task.pyx"
include "python/submit.pyx"
include "python/actors.pyx"
include "python/actor_restarts.pyx"
include "python/get_wait_put.pyx"
include "python/payload.pyx"
include "python/listing.pyx"
include "python/observing.pyx"
include "python/spilling.pyx"
include "python/execute.pyx"
include "python/task_facts.pyx"
include "python/cancelling.pyx"
include "python/several_calls.pyx"
include "python/memory.pyx"
include "python/pool.pyx"
include "python/waiting_workers.pyx"
include "python/wait_edges.pyx"
include "python/held_waits.pyx"
include "python/process_lifecycle.pyx"
include "python/report_ids.pyx"
include "python/jobs.pyx"
