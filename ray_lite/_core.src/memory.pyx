"""Memory: tables of entries, the allocator of the arena, and pages for both.

Knows blocks and entries, not what they are for: no object, task or process.
"""
include "memory/tables.pyx"
include "memory/arena.pyx"
include "memory/growth.pyx"
include "memory/sections.pyx"
include "memory/preallocate.pyx"
