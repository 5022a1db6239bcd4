/* relay.pml - who finds work for another job rings that job's node through the host.
 *
 * Models rl_ring, rl_ring_bell and rl_ring_all (region/debt.h), take_rung_jobs (python/jobs.pyx), answer_bell and wake_all
 * (python/process_lifecycle.pyx); the host's on_bell (node/supervisor.py), ring (node/jobs.py) and what it does about a death
 * (node/deaths.py); a guest's on_bell.
 *
 *   mortal, finder (2)   of the host's job: each finds work for the guest in a section, then rings; the first may die at any step
 *   of_the_guest (2)     of the guest's job: ring the guest's own doorbell
 *   host                 sleeps without bound on its eventfd and the pidfds, passes rings on
 *   guest                sleeps without bound on its eventfd; looks for work whenever it wakes
 *
 * Left out, and why that is sound: the lock (a section is atomic: the crash enumeration); full eventfds (a node that does not
 * read is awake); idle workers of the guest, whom the section wakes itself (doorbell.pml); the guest's check every 100 ms: the
 * protocol is to do without it.
 *
 * Property: when nothing moves any more, the guest has looked since the last work for it was found.
 * Negatives: BIT_LATE the job's bit is set after the host's doorbell was rung; TAKE_FIRST the host takes the bits before it
 * answers its doorbell; CLEAR_FIRST it answers before it reads the eventfd; NO_RING_ALL a death is not followed by rings;
 * GUEST_LATE the guest looks before it answers its own doorbell.
 */
#ifndef DEATHS
#define DEATHS 1
#endif

mtype = { NONE, LIVES, DYING, DEAD };

mtype state = LIVES;                    /* of finder 0 */
bool rung_bit;                               /* rung_jobs: the guest's */
bool host_rung, host_event;             /* the host's claim, and its eventfd */
bool guest_rung, guest_event;
byte work, seen;                        /* what was found for the guest; what was there when it last looked */
byte deaths;

inline ring_host() {
    atomic {
        claimed = host_rung; host_rung = true
    }
    if
    :: claimed
    :: !claimed -> host_event = true
    fi
}

inline find() {
    work++; /* the section */
#ifdef BIT_LATE
    ring_host();
    rung_bit = true
#else
    rung_bit = true;
    ring_host()
#endif
}

proctype mortal() {
    bool claimed;
    { find(); state = NONE } unless { atomic { state == DYING -> state = DEAD } }
}

proctype finder() {
    bool claimed;
    find()
}

proctype of_the_guest() {
    bool claimed;
    work++;
    atomic { claimed = guest_rung; guest_rung = true }
    if
    :: claimed
    :: !claimed -> guest_event = true
    fi
}

active proctype host() {
    bool taken;
    do
    :: host_event ->
#ifdef TAKE_FIRST
        atomic { taken = rung_bit; rung_bit = false }
        host_event = false;
        host_rung = false;
#else
#ifdef CLEAR_FIRST
        host_rung = false;
        host_event = false;
#else
        host_event = false;
        host_rung = false;
#endif
        atomic { taken = rung_bit; rung_bit = false }
#endif
        if
        :: taken -> guest_event = true
        :: !taken
        fi;
        taken = false
    :: state == DEAD ->
        host_rung = false;
        state = NONE; /* it is swept */
#ifndef NO_RING_ALL
        rung_bit = true;
        host_event = true
#endif
    od
}

active proctype guest() {
    do
    :: guest_event ->
        guest_event = false;
#ifdef GUEST_LATE
        seen = work;
        guest_rung = false
#else
        guest_rung = false;
        seen = work
#endif
    od
}

active proctype killer() {
    if
    :: atomic { deaths < DEATHS && state == LIVES -> state = DYING; deaths++ }
    :: true
    fi
}

init {
    atomic {
        run mortal();
        run finder();
        run finder();
        run of_the_guest();
        run of_the_guest()
    }
    timeout; /* nothing moves any more */
    assert(work == seen)
}
