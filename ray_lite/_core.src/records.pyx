"""Records: objects, what keeps them alive and who reads or awaits them; process slots; task records and the lists they are on.

Each file is one noun and its bookkeeping.  Must not know resources, or which task runs next.
"""
include "records/ids.pyx"
include "records/references.pyx"
include "records/readers.pyx"
include "records/room.pyx"
include "records/objects.pyx"
include "records/waiting.pyx"
include "records/edges.pyx"
include "records/slots.pyx"
include "records/task_records.pyx"
include "records/trim.pyx"
