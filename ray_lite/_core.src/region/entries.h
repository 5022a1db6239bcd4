/* entries.h - the entries of the region's tables, byte by byte.  Each field names its writer, in the words of layout.h. */
#ifndef RL_ENTRIES_H
#define RL_ENTRIES_H
#include <pthread.h>
#include <stddef.h>
#include <stdint.h>
#include "constants.h"

/* table - an array of equal entries; the header holds all tables */
typedef struct {
    uint64_t offset;   /*  0 writer: init */
    uint32_t stride;   /*  8 writer: init */
    uint32_t capacity; /* 12 writer: init */
    uint32_t limit;    /* 16 writer: lock; entries whose pages are committed */
    uint32_t used;     /* 20 writer: lock; entries ever taken, entry 0 included */
    uint32_t free;     /* 24 writer: lock; head of the free list */
    uint32_t live;     /* 28 writer: lock; entries in use now */
} rl_table;

/* undo entry - the old value of a word; where = offset | bytes << 56 */
typedef struct {
    uint64_t where; /*  0 writer: lock holder */
    uint64_t old;   /*  8 writer: lock holder */
} rl_undo;

/* stage entry - a store to make after the commit; if the lock's owner dies first, the next process that locks makes it */
typedef struct {
    uint32_t what;  /*  0 writer: lock holder; rl_publication */
    uint32_t index; /*  4 writer: lock holder; object or slot */
    uint32_t value; /*  8 writer: lock holder; new state */
    uint32_t spare; /* 12 writer: nobody */
} rl_stage;

/* the one lock with its undo log; never unmapped while a thread may be inside.
 * word = number of undo entries in the low half, of publications due in the high half: one store of it is the commit. */
typedef struct {
    pthread_mutex_t mutex; /*   writer: glibc and the kernel */
    char pad[64 - sizeof(pthread_mutex_t) % 64]; /* writer: nobody */
    volatile uint64_t word; /*  writer: lock holder */
    uint32_t staged;        /*  writer: lock holder; publications collected, without effect until the commit */
    uint32_t longest;       /*  writer: lock holder; longest log ever committed, for statistics */
    uint64_t recoveries;    /*  writer: lock holder; deaths inside the lock that were repaired */
    char pad2[40];          /*  writer: nobody */
    rl_undo undo[RL_LOG_MAX];      /* writer: lock holder */
    rl_stage stage[RL_STAGE_MAX];  /* writer: lock holder */
} rl_mutex;

/* object entry - two cache lines.  Found by index and generation, or by id once the id's bytes were shown (records/ids.pyx).
 * If its owner dies while it is CREATING, or the worker of its task dies, the sweep frees the block and the holder bits of the
 * dead process.  Once it is SEALED, such a death changes nothing but these bits. */
typedef struct {
    uint32_t state;      /*   0 writer: lock; PENDING/CREATING -> SEALED is published. Stale: harmless, readers wait */
    uint32_t next;       /*   4 writer: lock; free list, garbage list, or next return of the same task */
    uint8_t id[RL_ID_BYTES]; /* 8 writer: fresh */
    uint32_t generation; /*  28 writer: lock; grows when the object ends, so that old handles are noticed */
    uint32_t format;     /*  32 writer: fresh, owner; rl_format, with RL_ERROR for a failure */
    uint32_t pins;       /*  36 writer: lock; refs (arguments, contents) that name it, and one if the session keeps it */
    uint32_t holders;    /*  40 writer: lock; processes with a holder bit; fsck compares it with the rows */
    uint32_t owner;      /*  44 writer: lock; slot of the process that creates it; of a SEALED one that is kept, the job */
    uint64_t size;       /*  48 writer: fresh, owner; payload bytes */
    uint32_t extent;     /*  56 writer: lock; extent of its block, or none when the payload is small */
    uint16_t cell;       /*  60 writer: lock; cell of its block in a slab */
    uint16_t flags;      /*  62 writer: lock; rl_object_flags */
    uint32_t waiter;     /*  64 writer: atomic; slot, MANY or none. A store lost here loses a wake-up: seq_cst, see atomics.h */
    uint32_t task;       /*  68 writer: lock; the live task that returns it */
    uint32_t edges;      /*  72 writer: lock; refs of tasks that wait for it */
    uint32_t contents;   /*  76 writer: lock; refs to the objects whose ids it contains */
    uint32_t hash_next;  /*  80 writer: lock; chain of the id index */
    uint32_t site;       /*  84 writer: fresh; object with the call site of the put or the task, or none */
    uint8_t data[RL_OBJECT_SMALL]; /* 88 writer: fresh, owner; with a block: rl_block_info */
} rl_object;

/* block info - facts about an object's block, in place of the small value; kept only if the session has a spill file.  The
 * extent says whether the block is in the arena or in the spill file.  If a reader dies, the sweep clears its reader bit and
 * lowers the count. */
typedef struct {
    uint32_t readers;  /*  0 writer: lock; processes that read the bytes; fsck compares it with the rows */
    uint32_t last_read; /* 4 writer: lock; when the bytes were last read, moved or made, in units of 2^20 ns, modulo 2^32 */
    uint64_t checksum; /*  8 writer: lock; of the bytes, while they are spilled */
    uint32_t moves;    /* 16 writer: lock; grows whenever the bytes move */
    uint32_t spare;    /* 20 writer: nobody */
} rl_block_info;

/* task record - two cache lines.  In exactly one place: the free list; a slot's `building`; no list (WAITING: reached through
 * the edges of its arguments); a queue (READY); a slot's `running`; or a job's `cancelled_queued` (cancelled and not
 * running, until the node takes it).  A call of an actor has no queue: it is in the actor's mailbox (MAILED), in a lane
 * (LANED), or on the list of its waiting calls (WAITING); a constructor's call that does not run is `creation` of its actor.
 * If its owner dies, a BUILDING record is unwound, a RUNNING one is queued again or failed. */
typedef struct {
    uint32_t state;      /*   0 writer: lock */
    uint32_t next;       /*   4 writer: lock; next on its list or queue, or the outer task on the same stack */
    uint8_t id[RL_ID_BYTES]; /* 8 writer: fresh */
    uint32_t serial;     /*  28 writer: lock; grows when the record is freed */
    uint32_t prev;       /*  32 writer: lock; queue, building list; of a call: mailbox, lane, waiting list, running list */
    uint32_t function;   /*  36 writer: fresh; object with the function's pickle, kept until the session ends */
    uint32_t owner;      /*  40 writer: lock; slot that builds or runs it; of a LANED call its lane;
                          *    of a MAILED one its number in the mailbox */
    uint16_t queue;      /*  44 writer: fresh */
    uint16_t cell;       /*  46 writer: fresh; of the arguments' block; without an extent it means nothing */
    union {
        uint32_t ndeps;  /*  48 writer: lock; arguments that are not sealed; counted, never recomputed */
        uint32_t awaits; /*  48 writer: lock; of a RUNNING call, if calls run in threads: as rl_slot.awaits */
    };
    uint16_t attempts;   /*  52 writer: lock; attempts begun, at most RL_ATTEMPTS; ids are derived from it: no two have the same */
    uint16_t retries_left; /* 54 writer: lock; falls with each attempt that counts and is followed by another; RL_ATTEMPTS: stays */
    uint32_t nreturns;   /*  56 writer: lock */
    uint32_t returns;    /*  60 writer: lock; its returns, last one first, chained by rl_object.next */
    uint32_t refs;       /*  64 writer: lock; argument refs, last one first */
    uint32_t parent;     /*  68 writer: fresh; record of the submitting task, or none for a driver */
    uint32_t parent_serial; /* 72 writer: fresh */
    uint32_t args_size;  /*  76 writer: fresh */
    uint32_t extent;     /*  80 writer: lock; extent of the arguments' block, or none when they are small */
    uint32_t site;       /*  84 writer: fresh; object with the call site, kept until the session ends, or none */
    uint16_t flags;      /*  88 writer: lock; rl_task_flags */
    uint16_t actor;      /*  90 writer: fresh, lock; the actor whose call it is; of a plain task none */
    uint32_t nrefs;      /*  92 writer: lock */
    uint32_t runtime_env; /* 96 writer: fresh; object with its runtime environment, kept until the session ends, or none */
    uint8_t data[RL_TASK_SMALL]; /* 100 writer: fresh */
} rl_task;

/* ref - names one object; belongs to a task (argument) or to another object (content) */
typedef struct {
    uint32_t state;     /*  0 writer: lock; rl_ref_state or RL_FREE */
    uint32_t next;      /*  4 writer: lock; free list, or next ref of the same owner */
    uint32_t object;    /*  8 writer: lock; the object it pins */
    uint32_t owner;     /* 12 writer: lock; task or containing object */
    uint32_t edge_next; /* 16 writer: lock; next ref that waits for the same object */
    uint32_t edge_prev; /* 20 writer: lock */
    uint32_t linked;    /* 24 writer: lock; 1 while it is in the object's edge list */
    uint32_t spare;     /* 28 writer: nobody */
} rl_ref;

/* space - the pages of one file.  Extents, which are runs of pages, tile [0, committed); free ones are on lists by size. */
typedef struct {
    uint32_t pages;     /*   0 writer: init; most pages it may have */
    uint32_t committed; /*   4 writer: lock; pages it has: in the arena, those that fallocate accepted */
    uint32_t last;      /*   8 writer: lock; the extent that ends at committed */
    uint32_t first_map; /*  12 writer: lock; non-empty first-level lists */
    uint32_t second_map[RL_FIRST];        /* 16 writer: lock */
    uint32_t heads[RL_FIRST * RL_SECOND]; /* 136 writer: lock; free runs by class */
} rl_space;

/* extent - a run of pages of a space */
typedef struct {
    uint32_t state;     /*  0 writer: lock; rl_extent_state */
    uint32_t next;      /*  4 writer: lock; free list, free runs of a class, or slabs with room */
    uint32_t prev;      /*  8 writer: lock */
    uint32_t start;     /* 12 writer: lock; first page */
    uint32_t pages;     /* 16 writer: lock */
    uint32_t left;      /* 20 writer: lock; neighbour before it, in address order */
    uint32_t right;     /* 24 writer: lock; neighbour after it */
    uint32_t clas;      /* 28 writer: lock; of a SLAB its class, of a HOLE its number, of a free run of the spill file 1 if its
                         *    disk space was trimmed */
    uint64_t cells[4];  /* 32 writer: lock; bitmap of a slab's cells in use */
} rl_extent;

/* resource - CPU, GPU (only GPUs that are wholly free count as free), and the custom ones from RL_CUSTOM on */
typedef struct {
    uint32_t state; /*  0 writer: init; 1 */
    uint32_t next;  /*  4 writer: nobody */
    int64_t total;  /*  8 writer: init; in units of 1/RL_UNIT */
    int64_t free;   /* 16 writer: lock; CPUs: below zero after a blocked task woke. What wide shapes hold counts as free */
    uint32_t head;  /* 24 writer: lock; queues stalled on it, those with the smallest demand first */
    uint32_t tail;  /* 28 writer: lock */
} rl_resource;

/* demand - how much of one custom resource the tasks of a shape need; the demands of a shape lie in a row, by resource */
typedef struct {
    uint32_t state; /*  0 writer: fresh; 1 */
    uint32_t resource; /* 4 writer: fresh */
    int64_t amount; /*  8 writer: fresh */
} rl_demand;

/* ready queue of one (job, demands, options, depth).  While it has tasks, it is in the ready ring, or stalled on a resource.
 * Other queues have actors as members, which wait for the CPUs of a call (TURNS) or for what they hold for life (LIVES); these
 * have a ring each. */
typedef struct {
    uint32_t state;  /*  0 writer: lock; 1 in use */
    uint32_t next;   /*  4 writer: lock; ready ring, or queues stalled on the same resource */
    uint32_t prev;   /*  8 writer: lock */
    uint32_t job;    /* 12 writer: fresh */
    int64_t cpus;    /* 16 writer: fresh; in units of 1/RL_UNIT */
    int64_t gpus;    /* 24 writer: fresh; below RL_UNIT a part of one GPU, else whole ones */
    uint32_t first;  /* 32 writer: fresh; its demands of custom resources: the first, */
    uint32_t count;  /* 36 writer: fresh; and their number */
    uint32_t head;   /* 40 writer: lock */
    uint32_t tail;   /* 44 writer: lock */
    uint32_t length; /* 48 writer: lock */
    uint32_t listed; /* 52 writer: lock; rl_listed */
    uint32_t stalled_on; /* 56 writer: lock; the resource it lacks, while it is stalled or has the reservation */
    uint32_t options; /* 60 writer: fresh; object with the options of its tasks, kept until the session ends, or none */
    int64_t stalled_since; /* 64 writer: lock; when it first stalled since one of its tasks was last taken, or 0 */
    uint32_t chain;  /* 72 writer: lock; next queue of the same hash; only of the first queue of a shape */
    uint32_t depth;  /* 76 writer: fresh; 0: tasks of a driver, 1: tasks that those submit, and so on up to RL_DEPTHS - 1 */
    uint32_t base;   /* 80 writer: fresh; the first queue of the shape, whose depth is 0 */
    uint32_t sibling; /* 84 writer: lock; next queue of the shape, of another depth */
    uint32_t nested_next; /* 88 writer: lock; of nested tasks, while it is in the ready ring: the ring of its depth */
    uint32_t nested_prev; /* 92 writer: lock */
    uint32_t members; /* 96 writer: fresh; rl_members */
    uint32_t spare[7]; /* 100 writer: nobody */
} rl_queue;

/* process slot - the second cache line is written with atomic instructions, the others under the lock */
typedef struct {
    uint32_t state;     /*   0 writer: lock */
    uint32_t next;      /*   4 writer: lock; free list, or idle list (last idle first) */
    uint32_t prev;      /*   8 writer: lock; idle list */
    uint32_t role;      /*  12 writer: lock; rl_role */
    uint32_t pid;       /*  16 writer: lock */
    uint32_t epoch;     /*  20 writer: lock; grows when the slot is freed */
    uint32_t running;   /*  24 writer: lock; innermost task, chained by next */
    uint32_t building;  /*  28 writer: lock; records under construction */
    uint32_t shape;     /*  32 writer: lock; queue of the outermost task, whose demand the slot holds; 0: it holds nothing */
    uint32_t next_wide; /*  36 writer: lock; next slot that holds the demand of a wide shape */
    uint32_t availability; /* 40 writer: lock; rl_availability */
    uint32_t blocked;   /*  44 writer: lock; depth of blocking calls, and `lent`; above 0: the CPUs of the slot are free */
    uint64_t started;   /*  48 writer: lock; start time from /proc/pid/stat, so that a reused pid is noticed */
    uint64_t finished;  /*  56 writer: lock; tasks finished */
    uint32_t bell;      /*  64 writer: atomic; an idle worker waits for it to change */
    uint32_t parked;    /*  68 writer: atomic; the worker sleeps on the bell */
    uint32_t arrived;   /*  72 writer: atomic; seals of objects that this process marked */
    uint32_t wake_at;   /*  76 writer: atomic; value of arrived that the least demanding waiting thread needs */
    uint32_t waiting;   /*  80 writer: atomic; threads asleep on arrived */
    uint32_t waiting_for_room; /* 84 writer: atomic; since when it waits for room (clock of rl_block_info.last_read), or 0 */
    uint32_t leaving;   /*  88 writer: atomic; the node asks this worker to end; it is off the idle list already */
    uint32_t deadlock_flag; /* 92 writer: atomic; RL_WAITS_FOREVER: blocked without a timeout; RL_DEADLOCK, RL_CYCLE: in vain */
    uint32_t thread_deadlock_flag; /* 96 writer: atomic; the same for its other threads, of which any may take it */
    uint32_t traced;    /* 100 writer: atomic; 1 once the slot's ring of traces has its pages; they stay when the slot is freed */
    uint64_t trace_since; /* 104 writer: fresh; records of the ring that processes of another job wrote */
    uint32_t job_serial; /* 112 writer: fresh; serial of its job, of which another one may have the entry later */
    uint32_t spare[3];  /* 116 writer: nobody */
    uint64_t gpus[RL_GPU_WORDS]; /* 128 writer: lock; the GPUs of its tasks: chosen once, then kept for life */
    uint32_t gpu_bound; /* 160 writer: lock; 1 once it ran a task in a session with GPUs: it serves only tasks with these */
    uint32_t threads;   /* 164 writer: lock; CPUs for which its thread pools are made, for good; 0: not made yet */
    int64_t since;      /* 168 writer: lock; when it became idle, or a wait of one of its threads last began */
    uint32_t row_limit; /* 176 writer: lock; objects whose bits in its row have their pages; they stay when the slot is freed */
    uint32_t thread_waits; /* 180 writer: lock; threads that wait in a call; the main one counts only where several calls run */
    uint32_t thread_waits_forever; /* 184 writer: lock; of these, those without a timeout */
    uint32_t lent;      /* 188 writer: lock; 1: the node lent its CPUs, since its threads wait; counts in `blocked` */
    uint32_t actor;     /* 192 writer: lock; the actor whose process this is, or none */
    uint32_t held;      /* 196 writer: lock; queue whose demand the slot holds for life, or none; it holds nothing else then */
    uint32_t awaits;    /* 200 writer: lock; an object for which its main thread has waited for a while without a timeout, or none */
    uint32_t job;       /* 204 writer: fresh */
    uint32_t spare2[12]; /* 208 writer: nobody */
} rl_slot;

/* actor - its process takes calls from the mailbox and from open lanes without the node.  The mailbox has calls of all callers,
 * in the order of their arrival.  If the process dies, its RUNNING calls are adopted by the node; all others stay.  If it may
 * have another process then, calls that have ended since its last checkpoint are PAST, to be run again. */
typedef struct {
    uint32_t state;     /*   0 writer: lock; rl_actor_state */
    uint32_t next;      /*   4 writer: lock; free list, or the list `actors_due` of its job */
    uint32_t serial;    /*   8 writer: lock; grows when the entry is freed */
    uint32_t handle;    /*  12 writer: lock; its handle, an object that it pins until it is DEAD; 0: that object has ended */
    uint32_t slot;      /*  16 writer: lock; slot of its process, or none */
    uint32_t creation;  /*  20 writer: lock; call of the constructor, until that has returned */
    uint32_t head;      /*  24 writer: lock; mailbox: the next call, */
    uint32_t tail;      /*  28 writer: lock; the last one, */
    uint32_t length;    /*  32 writer: lock; and their number */
    uint32_t waiting;   /*  36 writer: lock; calls that lack arguments, if several may run at a time */
    uint32_t open;      /*  40 writer: lock; ring of lanes whose first call is ready; the next to be served */
    uint32_t stalled;   /*  44 writer: lock; ring of the other lanes */
    uint32_t nlanes;    /*  48 writer: lock */
    uint32_t lane_last; /*  52 writer: lock; 1: the last call came from a lane; then the mailbox is served first */
    uint32_t ncalls;    /*  56 writer: lock; records of its calls, wherever they are */
    uint32_t nrunning;  /*  60 writer: lock; of these, those that its process runs */
    uint32_t most;      /*  64 writer: fresh; calls that may run at a time */
    uint32_t limit;     /*  68 writer: fresh; calls that may be pending; 0: any number */
    uint32_t life;      /*  72 writer: fresh; queue (LIVES) of what it holds for life, perhaps nothing */
    uint32_t turn;      /*  76 writer: fresh; queue (TURNS) of the CPUs that its calls need while they run; 0: none */
    uint32_t wants;     /*  80 writer: lock; the queue of which it is a member now: `life`, `turn` or none */
    uint32_t want_next; /*  84 writer: lock; that queue */
    uint32_t want_prev; /*  88 writer: lock */
    uint32_t resting;   /*  92 writer: lock; 1: its process found no call that it may run: the bell rings for the next */
    int64_t turn_began; /*  96 writer: lock; when the first call of its present turn began, or 0 */
    uint32_t cause;     /* 104 writer: lock; object with the error of calls after its end, which it pins; 0: none yet */
    uint32_t flags;     /* 108 writer: lock; rl_actor_flags */
    uint32_t nmailed;   /* 112 writer: lock; number of the next call that comes into the mailbox */
    uint32_t facts;     /* 116 writer: fresh; object with what its callers know of it, kept until the session ends */
    uint8_t name[RL_ID_BYTES]; /* 120 writer: fresh; digest of its name; with RL_NAMED */
    uint32_t name_next; /* 140 writer: lock; next actor of the same hash */
    uint32_t past;      /* 144 writer: lock; PAST calls since the checkpoint: the first to be run again, */
    uint32_t past_tail; /* 148 writer: lock; and the last */
    uint64_t past_bytes; /* 152 writer: lock; of their arguments */
    uint32_t stale;     /* 160 writer: lock; PAST calls from before the checkpoint, which are to be freed */
    uint32_t rebuild;   /* 164 writer: lock; call of the constructor, PAST, if the actor can be made again with it */
    uint32_t nkept;     /* 168 writer: lock; PAST calls in these three places; they count in `ncalls` */
    uint32_t nagain;    /* 172 writer: lock; calls at the front of the mailbox that had begun in an earlier process */
    uint32_t checkpoint; /* 176 writer: lock; object with the state of the instance, which it pins; 0: none */
    uint32_t restarts;  /* 180 writer: lock; processes that it has lost since the checkpoint */
    uint32_t max_restarts; /* 184 writer: fresh; most of these; 0: it has one process */
    uint32_t incarnation; /* 188 writer: lock; processes that it has lost in all */
    uint32_t nwaiting;  /* 192 writer: lock; of its running calls, if several may run, those that wait in a call of ours */
    uint32_t job;       /* 196 writer: fresh */
    uint32_t spare[14]; /* 200 writer: nobody */
} rl_actor;

/* lane - the calls of one caller to one actor, from the first whose arguments lack until none is left: so they run in order */
typedef struct {
    uint32_t state;  /*  0 writer: lock; rl_lane_state */
    uint32_t next;   /*  4 writer: lock; ring `open` or `stalled` of the actor */
    uint32_t prev;   /*  8 writer: lock */
    uint32_t actor;  /* 12 writer: fresh */
    uint64_t caller; /* 16 writer: fresh; which driver, task or actor (tasks/actor_calls.pyx) */
    uint32_t head;   /* 24 writer: lock */
    uint32_t tail;   /* 28 writer: lock */
    uint32_t chain;  /* 32 writer: lock; next lane of the same hash */
    uint32_t serial; /* 36 writer: fresh; of the caller */
    uint32_t behind; /* 40 writer: fresh; `nmailed` when it was made: its calls come after those with lower numbers */
    uint32_t spare;  /* 44 writer: nobody */
} rl_lane;

/* job - what belongs to one driver: its processes, its tasks and its actors.  Its node is the parent of its workers, and does for
 * them what the core leaves to a node.  Resources, the store and the lock are the session's.  The last cache line is written with
 * atomic instructions; it also says whether the node lives. */
typedef struct {
    uint32_t state;      /*   0 writer: lock; rl_job_state */
    uint32_t next;       /*   4 writer: lock; free list */
    uint32_t serial;     /*   8 writer: lock; grows when the entry is freed */
    uint32_t ready_ring; /*  12 writer: lock; ring of queues that have tasks and may fit; the next to be served */
    uint32_t idle_first; /*  16 writer: lock; head of the idle list */
    uint32_t idle_last;  /*  20 writer: lock; its tail: the worker that is idle the longest */
    uint32_t nidle;      /*  24 writer: lock */
    uint32_t nstarting;  /*  28 writer: lock; workers whose slot is open and whose process is not there yet */
    uint32_t ncoming;    /*  32 writer: lock; workers rung, or just begun, that have not asked for a task yet */
    uint32_t nready;     /*  36 writer: lock; tasks in queues */
    uint32_t nworking;   /*  40 writer: lock; workers that run a task and are not blocked */
    uint32_t nworking_nested; /* 44 writer: lock; of these, those whose outermost task is a nested one */
    uint32_t nblocked;   /*  48 writer: lock; workers that are blocked in a task */
    uint32_t turn_ring;  /*  52 writer: lock; ring of TURNS queues that have members and may fit */
    uint32_t life_ring;  /*  56 writer: lock; ring of LIVES queues that have members and may fit */
    uint32_t nwanting;   /*  60 writer: lock; actors that are members of queues */
    uint32_t nested_rings[RL_DEPTHS]; /* 64 writer: lock; of the queues in the ready ring, a ring for each depth from 1 on */
    int64_t toplevel_waiting_since; /* 96 writer: lock; since when top-level tasks are passed over for nested ones, or 0 */
    uint32_t turn_given; /* 104 writer: lock; rl_turn_given: whether the next free CPUs are a task's, if one fits */
    uint32_t actors_due; /* 108 writer: lock; actors for which the node has something to do, by next */
    uint32_t cancelled_queued; /* 112 writer: lock; cancelled tasks that do not run, for the node to fail, by next */
    uint32_t node_looks; /* 116 writer: lock; 1: the node was rung for somebody who waits, and looks until nobody does */
    uint32_t workers_differ; /* 120 writer: lock; 1 once some workers can't serve all shapes */
    uint32_t threads_wait; /* 124 writer: lock; 1: threads of workers may wait besides the main ones */
    uint32_t nawaiting;  /* 128 writer: lock; slots and calls that say what they await */
    uint32_t spare;      /* 132 writer: nobody */
    int64_t over_since;  /* 136 writer: lock; since when it has more than its share of the CPUs while another job has less, or 0 */
    int64_t yields_until; /* 144 writer: lock; until then its workers leave CPUs to a job that has less than its share */
    uint32_t spare3[10]; /* 152 writer: nobody */
    uint32_t bell_rung;  /* 192 writer: atomic; the node's doorbell is rung and not yet answered */
    uint32_t at_limit;   /* 196 writer: atomic; no more workers can be started. Stale: a vain or a late ring */
    uint32_t closing;    /* 200 writer: atomic; rl_closing: the job ends */
    uint32_t spare2;     /* 204 writer: nobody */
    union {
        pthread_mutex_t node_life; /* 208 writer: glibc and the kernel; the node holds it as long as it lives */
        char room[48];   /* 208 writer: nobody */
    };
} rl_job;

#define RL_AT(type, field, at) _Static_assert(offsetof(type, field) == (at), #type "." #field)
RL_AT(rl_object, waiter, 64);
RL_AT(rl_object, data, 88);
RL_AT(rl_task, data, 100);
RL_AT(rl_extent, cells, 32);
RL_AT(rl_space, heads, 136);
RL_AT(rl_slot, bell, 64);
RL_AT(rl_slot, gpus, 128);
RL_AT(rl_slot, lent, 188);
RL_AT(rl_actor, flags, 108);
RL_AT(rl_actor, past_bytes, 152);
RL_AT(rl_lane, chain, 32);
RL_AT(rl_job, nested_rings, 64);
RL_AT(rl_job, bell_rung, 192);
_Static_assert(sizeof(rl_table) == 32, "rl_table");
_Static_assert(sizeof(rl_object) == 128, "rl_object");
_Static_assert(sizeof(rl_block_info) <= RL_OBJECT_SMALL, "rl_block_info");
_Static_assert(sizeof(rl_task) == 128, "rl_task");
_Static_assert(sizeof(rl_ref) == 32, "rl_ref");
_Static_assert(sizeof(rl_extent) == 64, "rl_extent");
_Static_assert(sizeof(rl_resource) == 32, "rl_resource");
_Static_assert(sizeof(rl_demand) == 16, "rl_demand");
_Static_assert(sizeof(rl_queue) == 128, "rl_queue");
_Static_assert(sizeof(rl_slot) == 256, "rl_slot");
_Static_assert(sizeof(rl_actor) == 256, "rl_actor");
_Static_assert(sizeof(rl_lane) == 48, "rl_lane");
_Static_assert(sizeof(rl_job) == 256, "rl_job");
_Static_assert(offsetof(rl_object, next) == 4 && offsetof(rl_task, next) == 4 && offsetof(rl_ref, next) == 4 &&
               offsetof(rl_extent, next) == 4 && offsetof(rl_queue, next) == 4 && offsetof(rl_slot, next) == 4 &&
               offsetof(rl_actor, next) == 4 && offsetof(rl_lane, next) == 4 && offsetof(rl_job, next) == 4,
               "tables link free entries through their second word");
#endif
