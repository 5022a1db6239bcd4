"""The region: its layout, and the only C that stores to shared words.

region/layout.h documents the shared memory (header and tables), region/entries.h each entry, region/states.h the state
machines.  region/sync.h has the lock with its undo log and the recovery after a death, region/atomics.h the atomic words;
region/robust.h makes the mutexes.  Must not know any algorithm of the store, and must not take the GIL, allocate memory or make
a system call while the lock is held.
"""
include "region/results.pyx"
include "region/traces.pyx"
