/* doorbell.pml - a task that fits finds a worker: idle workers are rung, the node is rung when there is none.
 *
 * Models rouse, task_next, idle_wait, idle_add, idle_remove, arrive, slot_adopt, slot_sweeping, wake_everybody (slots.pyx, sweep.pyx),
 * rl_publish_one for bells and rl_pay (sync.h), something_fits (resources.pyx); the node's heed, answer, examine, look and
 * start (node.py) with can_start, answer_bell (processes.pyx) and Scheduler.look (scheduler.py).
 *
 *   submitters 0, 1   submit one task each; 0 may die at any step; neither holds CPUs
 *   workers 2, 3      started when the node says so (2 stands idle at first with ONE_IDLE); either may die, also between
 *                     fork and adoption
 *   node              sleeps without bound in epoll on the eventfd and the pidfds
 *
 * A task needs one of two CPUs and may run without end, so that nobody who comes by later makes a lost ring good.
 * Left out, and why that is sound: the log (sections are atomic: the crash enumeration); what is due when a holder of the lock
 * dies is published with the section, since every other access of a bell's partner words comes after it or is `parked`,
 * which is loaded in a step of its own; the bound of an idle worker's sleep and the node's look every 100 ms: the protocol is
 * to do without them.  The look would not help a node that fell asleep when nothing was queued, see STOPPED.  What a dead
 * worker ran is not queued again (requeue_finish.pml).
 *
 * Property: when nothing moves any more, no task is queued that a free CPU could run; the counts of starting, coming and idle
 * workers are right at every step of the node and at the end.
 * Negatives: ANSWER_LATE the node looks before it clears `rung`; CLEAR_FIRST it clears `rung` before it reads the eventfd, so
 * that it may swallow a ring whose claim stays; NO_ANSWER_ON_DEATH a claim of the dead stays; NO_WAKE_AFTER_SWEEP; BELL_LATE
 * the worker reads its bell after it looked at its place in the list; PARKED_LATE it says that it sleeps after it does;
 * COMING_STAYS a rung worker that dies counts as coming for ever; STARTING_STAYS the same between fork and adoption;
 * STOPPED a submitter is stopped for good between claim and write: nothing here covers that, it is a limit, not a rule.
 */
#define CPUS 2
#ifndef DEATHS
#define DEATHS 1
#endif

mtype = { NONE, FORKED, LIVES, DYING, DEAD };         /* of processes */
mtype = { BUSY, IDLE, STARTING, RUNG };        /* rl_idle */

mtype state[4], idle[4];
byte nready, cpus_free = CPUS, nidle, nstarting, ncoming, held[4];
byte bell[4];
bool parked[4], asleep[4];
bool rung, event;                              /* the claim, and the eventfd */
byte deaths;

#define FITS(others) (others + 1 <= cpus_free && nready > others)

inline leave_list(p) {
    nidle--; idle[p] = BUSY
}

inline arrive(p) {
    if
    :: idle[p] == RUNG -> idle[p] = BUSY; ncoming--
    :: else
    fi
}

inline rouse(wanted) { /* lock held; whom to ring is left in `whom`, the node's doorbell in `ring` */
    if
    :: wanted > 0 && (idle[2] == IDLE || idle[3] == IDLE) && FITS(ncoming) ->
        if
        :: idle[3] == IDLE -> whom = 3
        :: idle[3] != IDLE -> whom = 2
        fi;
        leave_list(whom);
        idle[whom] = RUNG; ncoming++;
        bell[whom]++ /* published with the section */
    :: else
    fi;
    if
    :: wanted > (whom > 0) && idle[2] != IDLE && idle[3] != IDLE && nstarting == 0 && FITS(ncoming) -> ring = true
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
            ring = rung; rung = true;
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
        atomic { nready++; rouse(1) }
        pay();
        state[me] = NONE
    } unless { atomic { state[me] == DYING -> state[me] = DEAD } }
}

inline task_next() { /* give back what the last task held, take one or stand idle, ring others */
    atomic {
        arrive(me);
        cpus_free = cpus_free + held[me]; held[me] = 0;
        if
        :: nready > 0 && cpus_free > 0 ->
            nready--; cpus_free--; held[me] = 1;
            if
            :: idle[me] == IDLE -> leave_list(me)
            :: else
            fi;
            rouse(nready)
        :: else ->
            if
            :: idle[me] == BUSY -> idle[me] = IDLE; nidle++
            :: else
            fi
        fi
    }
    pay()
}

inline idle_wait() {
#ifdef BELL_LATE
    on_list = idle[me] == IDLE;
    heard = bell[me];
#else
    heard = bell[me];
    on_list = idle[me] == IDLE;
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
        :: state[me] == FORKED -> atomic { state[me] = LIVES; idle[me] = RUNG; ncoming++; nstarting-- } /* slot_adopt */
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

inline look() { /* can_start, then as many as the scheduler says: with two CPUs and two slots, one suffices */
    atomic {
        if
        :: FITS(ncoming + nstarting) && nready > nidle + nstarting + ncoming && (state[2] == NONE || state[3] == NONE) ->
            if
            :: state[2] == NONE -> p = 2
            :: state[2] != NONE -> p = 3
            fi;
            idle[p] = STARTING; nstarting++; state[p] = FORKED;
            run worker(p);
            p = 0
        :: else
        fi
    }
}

inline slot_sweeping(p) {
    atomic {
#ifdef COMING_STAYS
        if :: idle[p] == RUNG -> idle[p] = BUSY :: else fi;
#else
        arrive(p);
#endif
        if
        :: idle[p] == IDLE -> leave_list(p)
#ifndef STARTING_STAYS
        :: idle[p] == STARTING -> nstarting--; idle[p] = BUSY
#endif
        :: else
        fi;
        cpus_free = cpus_free + held[p]; held[p] = 0;
        rouse(nready)
    }
    pay()
}

inline examine(p) {
#ifndef NO_ANSWER_ON_DEATH
    rung = false;
#endif
    slot_sweeping(p);
    atomic { state[p] = NONE; idle[p] = BUSY; parked[p] = false } /* the slot is free: sweep, slot_open */
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
        look();
        rung = false
#else
#ifdef CLEAR_FIRST
        rung = false;
        event = false;
#else
        event = false;
        rung = false;
#endif
        look()
#endif
    :: state[0] == DEAD -> examine(0); look()
    :: state[2] == DEAD -> examine(2); look()
    :: state[3] == DEAD -> examine(3); look()
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

#define COUNT(what) ((idle[2] == what) + (idle[3] == what))

init {
    atomic {
        state[0] = LIVES; state[1] = LIVES; state[2] = NONE; state[3] = NONE;
        idle[0] = BUSY; idle[1] = BUSY; idle[2] = BUSY; idle[3] = BUSY;
        run submitter(0);
#ifndef ONE_TASK
        run submitter(1);
#endif
#ifdef ONE_IDLE
        state[2] = LIVES; idle[2] = IDLE; nidle = 1;
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
