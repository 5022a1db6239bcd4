/* slot_reuse.pml - a slot whose process died serves another one, and nothing of the first one's reaches the second.
 *
 * Models slot_open, slot_adopt, idle_add, idle_wait, worker_arrived (records/slots.pyx), wake_workers (scheduling/wakeups.pyx),
 * slot_sweeping, sweep, sweep_bit, slot_free, wake_everybody (tasks/sweep.pyx); object_hold, object_release (records/objects.pyx),
 * free_if_unreferenced (records/references.pyx); rl_announce, rl_bump (region/) and park_arrived (records/waiting.pyx) for one
 * thread; the node's start (node/starter.py) and on_worker_exit (node/deaths.py).
 *
 *   lives      two processes (LIVES), one after the other in slot 1: opened by the node, forked, adopted; each then holds and
 *              uses an object (HOLDS), waits for the seal of another (WAITS), or stands idle (STANDS): three models, since
 *              these share no word but the slot's state.  Each ends by itself or is killed at any step, also between fork
 *              and adoption.  A death is two events: a thread that holds the lock is gone
 *              (EOWNERDEAD; DYING), and later all are (pidfd; GONE)
 *   driver 2   one thread seals object x and one rings whoever stands idle; both may be late with the wake, up to a time when
 *              the slot has another process
 *   other 2    marks x at any time, so that marks of a dead process, its successor and others mix (seal_wait.pml wakes it)
 *   node       sweeps, and opens the slot again as soon as it is free: in a process of its own, since a driver may join, too
 *
 * Left out, and why that is sound: the log (sections are atomic: the crash enumeration); death of the sealer or ringer
 * (seal_wait.pml, doorbell.pml); the bound of sleeps; more slots, since rows, bells and counters of slots are disjoint.
 *
 * Property: an object exists as long as a living process holds it, and no longer; a bit is set by the process that has the
 * slot; only a living process that stands idle is rung; the counts of starting, coming and idle are right; nobody sleeps when
 * x is sealed, or when he was rung; when nothing moves any more, no bit of a dead process is left.
 * Negatives: FREE_FIRST the slot is free before its bits are cleared; ON_OWNERDEAD the sweep begins at EOWNERDEAD; FORGET_IDLE
 * a dead process stays in the idle list; STARTING_STAYS one that died before it adopted its slot counts as starting; BITS_STAY
 * bits of the dead are left; MARKS_SWEPT marks that name the slot are cleared, after it is free: the successor's among them.
 */
#ifndef DEATHS
#define DEATHS 1
#endif
#ifndef LIVES
#define LIVES 2
#endif
#define MANY 7

mtype = { NONE, OPEN, LIVING, DYING, GONE };   /* of the process in slot 1 */
mtype = { BUSY, IDLE, STARTING, RUNG };

mtype process = NONE, availability = BUSY;
bool slot_used, sweeping, held, exists = true, others_bit = true;
byte epoch, now, lives, deaths, nstarting, ncoming, nidle;
bool locked;
bool sealed, asleep, others_done;
byte waiter, arrived, wake_at, waiting;             /* of slot 1 */
byte bell;
bool parked, on_bell;
bool gone[LIVES];

inline free_if_unreferenced() {
    if
    :: !held && !others_bit -> exists = false
    :: else
    fi
}

inline announce(s) { /* rl_announce */
    atomic {
        w = waiter;
        if
        :: w == 0 -> waiter = s
        :: else
        fi
    }
    if
    :: w != 0 && w != s -> waiter = MANY
    :: else
    fi
}

inline waits_for_x() { /* wait_step and park_arrived, one thread */
    do
    :: seen = arrived;
        if
        :: sealed -> break
        :: !sealed && !marked -> announce(1); marked = true
        :: !sealed && marked ->
            waiting++;
            wake_at = seen + 1;
            w = arrived;
            if
            :: w == seen ->
                atomic { asleep = (arrived == w) }
                !asleep
            :: else
            fi;
            waiting--
        fi;
        atomic { seen = 0; w = 0 }
    od
}

proctype life(byte mine) {
    byte seen, w, heard;
    bool marked, there;
    {
        atomic { !locked -> process = LIVING; availability = RUNG; ncoming++; nstarting-- } /* slot_adopt */
        if
#ifdef HOLDS
        :: atomic { !locked && exists -> assert(epoch == mine); held = true } /* object_hold */
            assert(exists && held);
            atomic { !locked -> held = false; free_if_unreferenced() }
#endif
#ifdef WAITS
        :: waits_for_x()
#endif
#ifdef STANDS
        :: atomic { !locked -> ncoming--; availability = IDLE; nidle++ } /* worker_arrived, idle_add */
            heard = bell;
            there = availability == IDLE;
            if
            :: there ->
                parked = true;
                atomic { on_bell = (bell == heard) }
                !on_bell;
                parked = false
            :: else
            fi;
            atomic { !locked ->
                if
                :: availability == RUNG -> availability = BUSY; ncoming--
                :: availability == IDLE -> availability = BUSY; nidle--
                fi }
#endif
        :: skip
        fi;
        atomic {
            if
            :: now == mine -> process = GONE
#ifdef ON_OWNERDEAD
            :: else
#endif
            fi;
            gone[mine] = true
        }
    } unless { atomic { gone[mine] -> seen = 0; w = 0; heard = 0; marked = false; there = false } }
}

inline clear_bit() { /* sweep_bit */
    atomic { !locked ->
#ifndef BITS_STAY
        held = false; free_if_unreferenced()
#endif
    }
}

inline wake_everybody() {
    arrived++;
    asleep = false;
    bell++;
    on_bell = false
}

inline free_slot() { atomic { !locked -> slot_used = false; epoch++ } }

#ifdef ON_OWNERDEAD
#define DIED (process == DYING || process == GONE)
#else
#define DIED (process == GONE)
#endif

active proctype node() {
    do
    :: atomic { DIED && slot_used && !sweeping && !locked -> /* on_worker_exit, slot_sweeping */
            sweeping = true;
            if
            :: availability == RUNG -> ncoming--; availability = BUSY
#ifndef FORGET_IDLE
            :: availability == IDLE -> nidle--; availability = BUSY
#endif
#ifndef STARTING_STAYS
            :: availability == STARTING -> nstarting--; availability = BUSY
#endif
            :: else
            fi }
#ifdef FREE_FIRST
        free_slot();
        clear_bit();
        wake_everybody();
#else
        clear_bit();
        if /* one wake for several deaths comes before or after a slot is free */
        :: wake_everybody(); free_slot()
        :: free_slot(); wake_everybody()
        fi;
#endif
#ifdef MARKS_SWEPT
        if
        :: atomic { waiter == 1 -> waiter = 0 }
        :: waiter != 1
        fi;
#endif
        sweeping = false
    od
}

active proctype opener() { /* slot_open, then the fork */
    do
    :: atomic { !locked && !slot_used && lives < LIVES && (process == NONE || process == GONE || process == DYING) ->
            slot_used = true; lives++;
#ifndef FORGET_IDLE
            assert(availability == BUSY || availability == STARTING);
#endif
            availability = STARTING; nstarting++;
            parked = false; waiting = 0;
            process = OPEN;
            now = epoch;
            run life(epoch) }
    od
}

#ifdef WAITS
active proctype seals() {
    byte v, w;
    bool owed;
    atomic { !locked -> locked = true }
    sealed = true;
    w = waiter;
    if
    :: w == 1 || w == MANY ->
        atomic { arrived++; v = arrived }
        if
        :: waiting > 0 -> owed = v >= wake_at
        :: else
        fi
    :: else
    fi;
    locked = false;
    if
    :: owed -> asleep = false
    :: else
    fi
}
#endif

#ifdef STANDS
active proctype rings() {
    bool owed;
    do
    :: atomic { !locked && nidle > 0 ->
            locked = true;
            assert(slot_used && availability == IDLE);
            nidle--; availability = RUNG; ncoming++ }
        bell++;
        owed = parked;
        locked = false;
        if
        :: owed -> on_bell = false; owed = false
        :: else
        fi
    od
}
#endif

active proctype other() {
#ifdef WAITS
    byte w;
    announce(2);
#endif
    atomic { !locked -> others_bit = false; free_if_unreferenced(); others_done = true }
}

active proctype killer() {
    if
    :: skip
    :: deaths = DEATHS /* nobody is killed */
    fi;
    do
    :: atomic { deaths < DEATHS && (process == OPEN || process == LIVING) -> deaths++;
            if
            :: process == OPEN -> process = GONE; gone[now] = true /* one thread: its end is the process's */
            :: process == LIVING -> process = DYING
            fi }
    :: atomic { process == DYING -> process = GONE; gone[now] = true; on_bell = false; asleep = false }
    od
}

init {
    timeout; /* nothing moves any more */
    d_step {
        assert(!locked && !slot_used && lives == LIVES);
        assert(!held && !exists && others_done);
        assert(nstarting == 0 && ncoming == 0 && nidle == 0)
    }
}
