/* requeue_finish.pml - a task of a dead worker is finished, run again or failed: nothing is lost, nothing done twice.
 *
 * Models pick_fitting, take_task (scheduling/dispatch.pyx), run_begin (records/task_records.pyx), finish_section, task_requeue,
 * return_reset (tasks/run_task.pyx); slot_sweeping, slot_adopt_task, finish_begun (tasks/sweep.pyx); resource_add
 * (scheduling/amounts.pyx); what the worker writes into returns that it saw PENDING (task_returns of python/execute.pyx); the
 * node's on_worker_exit, _adopted (node/deaths.py) and apply (node/task_ends.py) with Scheduler.on_death (policy/scheduler.py).
 *
 *   workers 1, 2   take the task, write its returns without the lock, finish it in sections that may end anywhere; a death
 *                  is two events: a thread of the process that holds the lock is gone (EOWNERDEAD; DYING), and later all of
 *                  them are (pidfd; DEAD).  In between the main thread goes on
 *   node 3         gives CPUs back, adopts, resets, applies the policy, and starts another worker in the slot
 *
 * One task with two returns (none with RETURNS=0), two arguments, one retry, one CPU.  The attempt's number stands for what
 * it writes, so two attempts never write the same.
 * Left out, and why that is sound: the log (sections are atomic: the crash enumeration); who waits and who is idle
 * (seal_wait.pml, doorbell.pml); edges (edges.pml); tasks run inline, since each task of a stack is adopted by itself.
 *
 * Property: what is sealed keeps its contents; a task whose returns are all sealed, or that gave an argument up, never runs
 * again; no more than one process has it; free and held CPUs are all CPUs after each section; at the end the task is freed,
 * all returns are sealed, and the CPU is free.
 * Negatives: ON_OWNERDEAD the sweep begins at EOWNERDEAD; ALWAYS_REQUEUE nobody looks whether all returns were sealed;
 * NOT_BEGUN (with RETURNS=0) nor whether arguments were given up; SEAL_AGAIN a second attempt writes returns that are sealed;
 * CPUS_TWICE who finishes an adopted task gives back CPUs that it doesn't hold; NO_CPUS the sweep doesn't give them back.
 */
#ifndef DEATHS
#define DEATHS 2
#endif
#ifndef RETURNS
#define RETURNS 2
#endif
#define REFS 2
#define RETRIES 1
#define NODE 3
#define ERROR 9

mtype = { READY, RUNNING, FREED };
mtype = { LIVES, DYING, DEAD, GONE };

mtype task = READY;
mtype state[4] = LIVES;
bool swept[4];
byte runs_in[4];                       /* slot.running: 1 while the task is on its list */
byte attempts, refs = REFS;
byte content[2];
bool sealed[2], due[2], given[2];
byte cpus_free = 1, held[4];
byte owner, deaths;

#define ALL_SEALED (RETURNS == 0 || (sealed[0] && sealed[1]))
#define ALL_GIVEN (RETURNS == 0 || (given[0] && given[1]))

inline publish() { /* after the commit, or by the next locker */
    atomic {
        if
        :: due[0] -> assert(!sealed[0] && content[0] != 0); sealed[0] = true; due[0] = false
        :: else
        fi;
        if
        :: due[1] -> assert(!sealed[1] && content[1] != 0); sealed[1] = true; due[1] = false
        :: else
        fi
    }
}

inline lock(me) {
    atomic { (owner == 0 || state[owner] == GONE) -> owner = me }
    publish()
}

inline unlock() {
    atomic {
        assert(cpus_free + held[1] + held[2] + held[3] == 1);
        assert(runs_in[1] + runs_in[2] + runs_in[3] == (task == RUNNING));
        owner = 0
    }
}

inline write(r, what) { /* without the lock; it is this attempt's as long as it is PENDING */
    seen = sealed[r];
    if
#ifdef SEAL_AGAIN
    :: atomic { true -> assert(!sealed[r] || content[r] == what); content[r] = what }
#else
    :: !seen -> atomic { assert(!sealed[r] || content[r] == what); content[r] = what }
    :: seen
#endif
    fi;
    seen = false
}

inline finish(me) {
    do
    :: lock(me);
        atomic {
            do
            :: break /* the log is full, or the stage */
            :: RETURNS != 0 && !sealed[0] && !due[0] -> due[0] = true
            :: RETURNS != 0 && (sealed[0] || due[0]) && !sealed[1] && !due[1] -> due[1] = true
            :: RETURNS != 0 && (sealed[0] || due[0]) && (sealed[1] || due[1]) && !given[0] -> given[0] = true
            :: RETURNS != 0 && given[0] && !given[1] -> given[1] = true
            :: ALL_GIVEN && refs > 0 -> refs--
            :: ALL_GIVEN && refs == 0 ->
                runs_in[me] = 0;
#ifdef CPUS_TWICE
                cpus_free++;
#else
                cpus_free = cpus_free + held[me];
#endif
                held[me] = 0; task = FREED;
                break
            od
        } /* the commit */
        publish();
        unlock();
        if
        :: task == FREED -> break
        :: task != FREED
        fi
    od
}

proctype worker(byte me) {
    bool seen, mine;
    byte now;
    {
        do
        :: task == READY ->
            lock(me);
            atomic {
                if
                :: task == READY && cpus_free > 0 ->
                    assert(!(RETURNS != 0 && ALL_SEALED) && refs == REFS);
                    task = RUNNING; runs_in[me] = 1; attempts++; now = attempts;
                    cpus_free--; held[me] = 1; mine = true
                :: else
                fi
            }
            unlock();
            if
            :: mine ->
                if
                :: RETURNS != 0 -> write(0, now); write(1, now)
                :: RETURNS == 0
                fi;
                finish(me);
                mine = false; now = 0
            :: !mine
            fi
        :: task == FREED -> break
        od
    } unless { atomic { state[me] == DEAD -> state[me] = GONE; seen = false; mine = false; now = 0 } }
}

inline slot_sweeping(p) {
    lock(NODE);
#ifndef NO_CPUS
    atomic { cpus_free = cpus_free + held[p]; held[p] = 0 }
#endif
    unlock()
}

inline adopt(p) {
    lock(NODE);
    atomic {
        adopted = runs_in[p];
        if
        :: adopted ->
            complete = RETURNS != 0 || refs != REFS;
#ifdef NOT_BEGUN
            complete = RETURNS != 0;
#endif
            runs_in[p] = 0; runs_in[NODE] = 1
        :: else
        fi
    }
    unlock();
    if
    :: adopted && RETURNS != 0 && !(sealed[0] && sealed[1]) -> complete = false; reset(0); reset(1)
    :: else
    fi
#ifdef ALWAYS_REQUEUE
    ;
    complete = false
#endif
}

inline reset(r) { /* return_reset of what is PENDING */
    if
    :: !sealed[r] -> lock(NODE); content[r] = 0; unlock()
    :: else
    fi
}

inline apply() {
    if
    :: complete -> finish(NODE)
    :: !complete && attempts <= RETRIES ->
        lock(NODE);
        atomic { runs_in[NODE] = 0; task = READY }
        unlock()
    :: !complete && attempts > RETRIES ->
        if
        :: RETURNS != 0 -> write(0, ERROR); write(1, ERROR)
        :: RETURNS == 0
        fi;
        finish(NODE)
    fi
}

#ifdef ON_OWNERDEAD
#define DIED(p) (state[p] == DYING || state[p] == DEAD || state[p] == GONE)
#else
#define DIED(p) (state[p] == GONE)
#endif

active proctype node() {
    byte p;
    bool adopted, complete, seen;
    do
    :: atomic {
            if
            :: DIED(1) && !swept[1] -> p = 1
            :: DIED(2) && !swept[2] -> p = 2
            fi;
            swept[p] = true
        }
        slot_sweeping(p);
        adopt(p);
        if
        :: adopted -> apply()
        :: !adopted
        fi;
#ifndef ON_OWNERDEAD
        atomic { state[p] = LIVES; swept[p] = false; run worker(p) } /* another process in the same slot */
#endif
        atomic { adopted = false; complete = false; p = 0 }
    od
}

active proctype killer() {
    if
    :: skip
    :: deaths = DEATHS /* nobody dies */
    fi;
    do
    :: atomic { deaths < DEATHS && state[1] == LIVES && task != FREED -> state[1] = DYING; deaths++ }
    :: atomic { deaths < DEATHS && state[2] == LIVES && task != FREED -> state[2] = DYING; deaths++ }
    :: atomic { state[1] == DYING -> state[1] = DEAD }
    :: atomic { state[2] == DYING -> state[2] = DEAD }
    od
}

init {
    atomic { run worker(1); run worker(2) }
    timeout; /* nothing moves any more */
    d_step {
        assert(task == FREED && ALL_SEALED && refs == 0);
        assert(cpus_free == 1)
    }
}
