"""Result codes of a step under the lock: done, more sections needed, or what the step lacked.

`section_repeats` (memory/sections.pyx) supplies what a GROW_ code names; python/errors.pyx turns the others into exceptions.
"""
cdef enum:
    # after a GROW_ code, `grow` supplies what is missing, and the step is repeated
    DONE = 0
    MORE = 1
    GROW_OBJECTS = -1
    GROW_TASKS = -2
    GROW_REFS = -3
    GROW_EXTENTS = -4
    GROW_QUEUES = -5
    GROW_SLOTS = -6
    GROW_ROW = -7
    GROW_ARENA = -8
    GROW_SPILL = -9
    GROW_DEMANDS = -10
    GROW_ACTORS = -11
    GROW_LANES = -12
    GROW_JOBS = -13
    STALE = -20      # the object or the task is gone, has changed, or does not exist
    FULL_ARENA = -21
    FULL_TABLE = -22
    FULL_FILE = -23
    FULL_SPILL = -24
    SPILLED = -25       # the object's bytes are in the spill file
    FULL_SHAPES = -27
    NAME_TAKEN = -29    # another actor has the name
    FULL_CALLS = -28    # the actor has as many pending calls as it may have
    ROOM_PROMISED = -26  # there may be room, but another process has waited longer for it
