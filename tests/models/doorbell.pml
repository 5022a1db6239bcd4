/* doorbell.pml - a task that fits finds a worker: idle workers are rung, the node is rung when there is none.
 *
 * Models wake_workers (scheduling/wakeups.pyx), pick_unserved (scheduling/dispatch.pyx), task_next (tasks/run_task.pyx),
 * idle_add, idle_remove, idle_wait, worker_arrived, slot_adopt (records/slots.pyx), slot_sweeping, wake_everybody
 * (tasks/sweep.pyx), rl_publish_one for bells and rl_pay (region/sync.h); the node's on_event, on_bell, adjust
 * (node/supervisor.py), on_worker_exit (node/deaths.py), adjust and _start (node/pool.py) with can_start (python/pool.pyx),
 * answer_bell (python/process_lifecycle.pyx) and Scheduler.workers_wanted (policy/scheduler.py).
 *
 *   submitters 0, 1   submit one task each; 0 may die at any step; neither holds CPUs
 *   workers 2, 3      started when the node says so (2 stands idle at first with ONE_IDLE); either may die, also between
 *                     fork and adoption
 *   node              sleeps without bound in epoll on the eventfd and the pidfds
 *
 * A task needs one of two CPUs and may run without end, so that nobody who comes by later makes a lost ring good.
 * Left out, and why that is sound: the log (sections are atomic: the crash enumeration); what is due when a holder of the lock
 * dies is published with the section, since every other access of a bell's partner words comes after it or is `parked`,
 * which is loaded in a step of its own; the bound of an idle worker's sleep and the node's check every 100 ms: the protocol is
 * to do without them.  The check would not help a node that fell asleep when nothing was queued, see STOPPED.  What a dead
 * worker ran is not queued again (requeue_finish.pml).
 *
 * Property: when nothing moves any more, no task is queued that a free CPU could run; the counts of starting, coming and idle
 * workers are right at every step of the node and at the end.
 * Negatives: ANSWER_LATE the node looks before it clears `bell_rung`; CLEAR_FIRST it clears that before it reads the eventfd,
 * so that it may swallow a ring whose claim stays; NO_ANSWER_ON_DEATH a claim of the dead stays; NO_WAKE_AFTER_SWEEP; BELL_LATE
 * the worker reads its bell after it looked at its place in the list; PARKED_LATE it says that it sleeps after it does;
 * COMING_STAYS a rung worker that dies counts as coming for ever; STARTING_STAYS the same between fork and adoption;
 * STOPPED a submitter is stopped for good between claim and write: nothing here covers that, it is a limit, not a rule.
 */
#define CPUS 2
#ifndef DEATHS
#define DEATHS 1
#endif

mtype = { NONE, FORKED, LIVES, DYING, DEAD };         /* of processes */
mtype = { BUSY, IDLE, STARTING, RUNG };        /* rl_availability */

mtype state[4], availability[4];
byte nready, cpus_free = CPUS, nidle, nstarting, ncoming, held[4];
byte bell[4];
bool parked[4], asleep[4];
bool bell_rung, event;                         /* the claim, and the eventfd */
byte deaths;

#define FITS(others) (others + 1 <= cpus_free && nready > others)

inline leave_list(p) {
    nidle--; availability[p] = BUSY
}

inline worker_arrived(p) {
    if
    :: availability[p] == RUNG -> availability[p] = BUSY; ncoming--
    :: else
    fi
}

inline wake_workers(wanted) { /* lock held; whom to ring is left in `whom`, the node's doorbell in `ring` */
    if
    :: wanted > 0 && (availability[2] == IDLE || availability[3] == IDLE) && FITS(ncoming) ->
        if
        :: availability[3] == IDLE -> whom = 3
        :: availability[3] != IDLE -> whom = 2
        fi;
        leave_list(whom);
        availability[whom] = RUNG; ncoming++;
        bell[whom]++ /* published with the section */
    :: else
    fi;
    if
    :: wanted > (whom > 0) && availability[2] != IDLE && availability[3] != IDLE && nstarting == 0 && FITS(ncoming) ->
        ring = true
    :: else
    fi
}

inline pay() { /* rl_publish_one's load of parked, then rl_pay */
    if
    :: whom > 0 ->
        if
        :: parked[whom] -> asleep[whom] = false
        :: !parked[whom]
        fi;
        whom = 0
    :: else
    fi;
    if
    :: ring ->
        atomic {
            ring = bell_rung; bell_rung = true;
            if
            :: !ring -> ring = true
            :: else -> ring = false
            fi
        }
        if
        :: ring ->
#ifdef STOPPED
            if
            :: skip
            :: skip -> false
            fi;
#endif
            atomic { event = true; ring = false }
        :: else
        fi
    :: else
    fi
}

proctype submitter(byte me) {
    byte whom;
    bool ring;
    {
        atomic { nready++; wake_workers(1) }
        pay();
        state[me] = NONE
    } unless { atomic { state[me] == DYING -> state[me] = DEAD } }
}

inline task_next() { /* give back what the last task held, take one or stand idle, ring others */
    atomic {
        worker_arrived(me);
        cpus_free = cpus_free + held[me]; held[me] = 0;
        if
        :: nready > 0 && cpus_free > 0 ->
            nready--; cpus_free--; held[me] = 1;
            if
            :: availability[me] == IDLE -> leave_list(me)
            :: else
            fi;
            wake_workers(nready)
        :: else ->
            if
            :: availability[me] == BUSY -> availability[me] = IDLE; nidle++
            :: else
            fi
        fi
    }
    pay()
}

inline idle_wait() {
#ifdef BELL_LATE
    on_list = availability[me] == IDLE;
    heard = bell[me];
#else
    heard = bell[me];
    on_list = availability[me] == IDLE;
#endif
    if
    :: on_list ->
#ifdef PARKED_LATE
        atomic { asleep[me] = bell[me] == heard }
        parked[me] = true;
#else
        parked[me] = true;
        asleep[me] = bell[me] == heard; /* the kernel compares and sleeps in one */
#endif
        !asleep[me];
        parked[me] = false
    :: else
    fi;
    atomic { heard = 0; on_list = false }
}

proctype worker(byte me) {
    byte whom, heard;
    bool ring, on_list;
    {
        if
        :: state[me] == FORKED -> atomic { state[me] = LIVES; availability[me] = RUNG; ncoming++; nstarting-- } /* slot_adopt */
        :: state[me] == LIVES -> goto waiting
        fi;
        do
        :: task_next();
            if
            :: held[me] == 0 ->
waiting:
                idle_wait()
            :: held[me] > 0 ->
                if
                :: skip
                :: skip -> false /* a task without end */
                fi
            fi
        od
    } unless { atomic { state[me] == DYING -> asleep[me] = false; state[me] = DEAD } }
}

inline adjust() { /* can_start, then as many as the scheduler says: with two CPUs and two slots, one suffices */
    atomic {
        if
        :: FITS(ncoming + nstarting) && nready > nidle + nstarting + ncoming && (state[2] == NONE || state[3] == NONE) ->
            if
            :: state[2] == NONE -> p = 2
            :: state[2] != NONE -> p = 3
            fi;
            availability[p] = STARTING; nstarting++; state[p] = FORKED;
            run worker(p);
            p = 0
        :: else
        fi
    }
}

inline slot_sweeping(p) {
    atomic {
#ifdef COMING_STAYS
        if :: availability[p] == RUNG -> availability[p] = BUSY :: else fi;
#else
        worker_arrived(p);
#endif
        if
        :: availability[p] == IDLE -> leave_list(p)
#ifndef STARTING_STAYS
        :: availability[p] == STARTING -> nstarting--; availability[p] = BUSY
#endif
        :: else
        fi;
        cpus_free = cpus_free + held[p]; held[p] = 0;
        wake_workers(nready)
    }
    pay()
}

inline on_worker_exit(p) {
#ifndef NO_ANSWER_ON_DEATH
    bell_rung = false;
#endif
    slot_sweeping(p);
    atomic { state[p] = NONE; availability[p] = BUSY; parked[p] = false } /* the slot is free: sweep, slot_open */
#ifndef NO_WAKE_AFTER_SWEEP
    atomic { bell[2]++; asleep[2] = false }
    atomic { bell[3]++; asleep[3] = false }
#endif
    skip
}

active proctype node() {
    byte whom, p;
    bool ring;
    do
    :: event ->
#ifdef ANSWER_LATE
        event = false;
        adjust();
        bell_rung = false
#else
#ifdef CLEAR_FIRST
        bell_rung = false;
        event = false;
#else
        event = false;
        bell_rung = false;
#endif
        adjust()
#endif
    :: state[0] == DEAD -> on_worker_exit(0); adjust()
    :: state[2] == DEAD -> on_worker_exit(2); adjust()
    :: state[3] == DEAD -> on_worker_exit(3); adjust()
    od
}

active proctype killer() {
    if
    :: skip
    :: deaths = DEATHS /* nobody dies */
    fi;
    do
    :: atomic { deaths < DEATHS && state[0] == LIVES -> state[0] = DYING; deaths++ }
    :: atomic { deaths < DEATHS && (state[2] == FORKED || state[2] == LIVES) -> state[2] = DYING; deaths++ }
    :: atomic { deaths < DEATHS && (state[3] == FORKED || state[3] == LIVES) -> state[3] = DYING; deaths++ }
    od
}

#define COUNT(what) ((availability[2] == what) + (availability[3] == what))

init {
    atomic {
        state[0] = LIVES; state[1] = LIVES; state[2] = NONE; state[3] = NONE;
        availability[0] = BUSY; availability[1] = BUSY; availability[2] = BUSY; availability[3] = BUSY;
        run submitter(0);
#ifndef ONE_TASK
        run submitter(1);
#endif
#ifdef ONE_IDLE
        state[2] = LIVES; availability[2] = IDLE; nidle = 1;
        run worker(2)
#endif
    }
    timeout; /* nothing moves any more */
    d_step {
        assert(nidle == COUNT(IDLE) && nstarting == COUNT(STARTING) && ncoming == COUNT(RUNG));
        assert(cpus_free + held[2] + held[3] == CPUS);
        assert(nready == 0 || cpus_free == 0)
    }
}
