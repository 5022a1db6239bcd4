"""Listings: which objects exist, what the table says of each, and which could be spilled.  Racy by design: takes no lock."""
cdef enum:
    CANDIDATES_MOST = 100000  # objects that one search for spillable ones collects at most


def largest(Region region, uint64_t least, int most, bint here) -> list:
    """Indices of the `most` largest objects of at least `least` bytes, largest first; `here`: only of objects not spilled.

    Nameless objects are left out.  Racy: each object existed at some moment.
    """
    cdef rl_region* R = region.R
    cdef uint32_t i
    cdef list found = []
    check_region(R)
    for i in range(1, rl_load(&R.h.objects.used)):
        if object_at(R, i).flags & RL_NAMELESS or here and is_spilled(R, object_at(R, i)):
            continue
        if object_at(R, i).size >= least and object_at(R, i).state != RL_FREE and object_at(R, i).state != RL_GARBAGE:
            found.append((object_at(R, i).size, i))
            if len(found) > 4 * most + 1000:
                found = sorted(found, reverse=True)[:most]
    return [i for _, i in sorted(found, reverse=True)[:most]]


def object_facts(Region region, uint32_t i) -> tuple:
    """Facts that the table has of an object: (an ObjectID that holds nothing, bytes, state, pins, holders as (pid, role), index
    of its call site or 0, whether the session keeps it, whether its bytes are spilled, whether it was put and no task returns
    it)."""
    cdef rl_region* R = region.R
    cdef rl_object* o
    cdef uint32_t s
    cdef ObjectID x = ObjectID.__new__(ObjectID)
    check_region(R)
    if not 0 < i < rl_load(&R.h.objects.used):
        check(STALE)
    o = object_at(R, i)
    memcpy(x.raw, o.id, RL_ID_BYTES)
    holders = [(rl_slot_at(R, s).pid, rl_slot_at(R, s).role) for s in range(1, rl_load(&R.h.slots.used))
               if rl_slot_at(R, s).state != RL_FREE and holder_has(R, s, i)]
    kept, put = (o.flags & RL_JOB_PINNED) != 0, (o.flags & RL_PUT) != 0
    return x, o.size, o.state, o.pins, holders, o.site, kept, is_spilled(R, o), put


def spill_candidates(Region region, uint64_t wanted) -> list:
    """(index, generation) of objects whose bytes may be spilled now, together at least `wanted` bytes if there are so many.

    Objects that no task and no other object needs come first, then those unused for the longest time.  Racy.
    """
    cdef rl_region* R = region.R
    cdef rl_object* o
    cdef uint32_t i
    cdef uint32_t now = coarse_clock()
    cdef list found = []
    cdef list taken = []
    cdef uint64_t total = 0
    check_region(R)
    for i in range(1, rl_load(&R.h.objects.used)):
        o = object_at(R, i)
        if o.state == RL_SEALED and spillable(R, o) and block_info_of(o).readers == 0 and not is_spilled(R, o):
            found.append((o.pins == 0, now - block_info_of(o).last_read, i, o.generation, o.size))
            if len(found) >= CANDIDATES_MOST:
                break
    for _, _, index, generation, size in sorted(found, reverse=True):
        if total >= wanted:
            break
        taken.append((index, generation))
        total += size
    return taken


cdef bint runs_here(rl_region* R, uint32_t t) noexcept:
    """Whether a task is on this process's stack."""
    return task_at(R, t).state == RL_RUNNING and task_at(R, t).owner == R.slot


cdef bint stays(rl_region* R, uint32_t i) noexcept:
    """Whether a process holds the object that may go on holding it: this one, or one that runs no task."""
    cdef uint32_t s
    for s in range(1, rl_load(&R.h.slots.used)):
        if holder_has(R, s, i) and (s == R.slot or rl_slot_at(R, s).running == 0):
            return True
    return False


def bytes_freed_soon(Region region) -> int:
    """Bytes of objects that are freed when tasks end that this process does not run. Racy.

    Only arguments of such tasks pin these objects, and only other workers that run a task hold them.
    """
    cdef rl_region* R = region.R
    cdef rl_object* o
    cdef uint32_t r, i
    cdef dict pins = {}
    cdef uint64_t total = 0
    check_region(R)
    for r in range(1, rl_load(&R.h.refs.used)):
        if ref_at(R, r).state == RL_REF_ARGUMENT and not runs_here(R, ref_at(R, r).owner):
            i = ref_at(R, r).object
            o = object_at(R, i)
            if o.state == RL_SEALED and o.size > RL_OBJECT_SMALL and o.flags & RL_JOB_PINNED == 0 and not is_spilled(R, o):
                pins[i] = pins.get(i, 0) + 1
    for i, count in pins.items():
        if count == object_at(R, i).pins and not stays(R, i):
            total += object_at(R, i).size
    return total


def bytes_trimmed_now(Region region) -> int:
    """Bytes of the run that the node is trimming, of arena or spill file: no process finds them free meanwhile. Racy."""
    cdef uint32_t x
    check_region(region.R)
    x = rl_load(&region.R.h.trimming)
    return extent_at(region.R, x).pages * <uint64_t>RL_PAGE if x else 0


def others_reading(Region region) -> bool:
    """Whether a process fills an object, whose bytes can be spilled once it is sealed, or moves bytes; or another process that
    runs a task reads bytes that could otherwise be spilled. Racy."""
    cdef rl_region* R = region.R
    cdef rl_object* o
    cdef uint32_t i, s
    check_region(R)
    for i in range(1, rl_load(&R.h.objects.used)):
        o = object_at(R, i)
        if o.state == RL_CREATING or o.state == RL_PENDING:
            if o.extent and block_size(R, o.extent) >= R.h.spill_least:
                return True
        if o.state == RL_SEALED and spillable(R, o) and block_info_of(o).readers and not is_spilled(R, o):
            for s in range(1, rl_load(&R.h.slots.used)):
                if s != R.slot and rl_slot_at(R, s).running and reader_has(R, s, i):
                    return True
    return False
