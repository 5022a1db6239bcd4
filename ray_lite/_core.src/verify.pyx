"""Verification: fsck, which checks every invariant of the region, and a digest of the region's content.

Must not change or allocate anything.
"""
from libc.string cimport memcpy, memset

include "verify/fsck_objects.pyx"
include "verify/fsck_arena.pyx"
include "verify/fsck_tasks.pyx"
include "verify/fsck_actors.pyx"
include "verify/fsck_scheduling.pyx"
include "verify/fsck_jobs.pyx"
include "verify/fsck_traces.pyx"
include "verify/fsck.pyx"
