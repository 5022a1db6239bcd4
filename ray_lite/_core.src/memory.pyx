"""Memory: tables of entries, the allocator of the arena, and pages for both.

Must not know what blocks and entries are for: no object, task or process.
"""
from libc.errno cimport EINTR, EIO, errno

include "memory/tables.pyx"
include "memory/arena.pyx"
include "memory/growth.pyx"
include "memory/sections.pyx"
include "memory/preallocate.pyx"
