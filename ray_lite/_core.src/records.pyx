"""Records: objects, what keeps them alive, which processes read or await them; process slots; task records and their lists;
actors, their mailboxes and lanes.

Each file is one noun and its bookkeeping.  Must not know resources, or which task runs next.
"""
from libc.errno cimport EINTR, EIO, ETIMEDOUT
from libc.string cimport memcmp, memcpy, memset

include "records/ids.pyx"
include "records/actor_records.pyx"
include "records/references.pyx"
include "records/readers.pyx"
include "records/room.pyx"
include "records/objects.pyx"
include "records/small_values.pyx"
include "records/waiting.pyx"
include "records/edges.pyx"
include "records/slots.pyx"
include "records/lanes.pyx"
include "records/idle_workers.pyx"
include "records/task_records.pyx"
include "records/past_calls.pyx"
include "records/trim.pyx"
