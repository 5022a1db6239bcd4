"""The region: its layout, and the only C that stores to shared words.

layout.h is the document of the shared memory (header and tables), entries.h of each entry, states.h of each state machine.  sync.h has
the lock with its undo log, atomics.h the atomic words, robust.h the recovery after a death.  Knows no algorithm of the store.
Must not take the GIL, allocate memory or make a system call while the lock is held.
"""
include "region/results.pyx"
