/* layout.h - the shared region, byte by byte.
 *
 * Two mappings.  CONTROL holds every word that says what is true (this file); ARENA holds object bytes and nothing
 * else, so that a wild write into an array cannot break the bookkeeping.  Both are nameless files shared by descriptor.
 * A third one that nobody maps, if there is a spill directory, holds the bytes of spilled objects.
 *
 *   CONTROL  | header + lock + log | slots | kinds | demands | queues | buckets | objects | tasks | refs | extents |
 *            | holder rows |
 *   ARENA    | page 0 | page 1 | ... committed by fallocate from the front                                       |
 *
 * Tables are stable arrays named by 32-bit index; index 0 is "none" everywhere, so zeroed memory is a valid empty
 * region.  An entry is either used, on its table's free list (`next`), or above `used`.  `limit` says how far the
 * table's pages are committed.
 *
 * Who may write a word (named on each field line):
 *   lock   under the lock through rl_set32/rl_set64 (sync.h), so that a dead writer is rolled back;
 *   fresh  additionally by plain store while the entry is free or being built, when nobody else can reach it;
 *   owner  by the one process that runs the task or creates the object, before it is sealed;
 *   atomic by anyone with atomic instructions, never logged: a rollback would undo a stranger's update;
 *   init   once, before the region has a second user.
 * Lock-free readers: only `rl_object.state` (acquire; by processes whose holder bit or pin keeps the entry), and then
 * the sealed fields behind it; the atomic words; and by rl_load, as hints that the lock confirms: a table's `used` and
 * `limit`, `garbage`, `nready`, `nhung`, `cancels`, `listed` and `passed` of a queue, a slot's own `idle`
 * (rl_put32, rl_put64: never torn), and of a sealed object the bit RL_JOB_PINNED of its `flags`, which stays.  Anything else is
 * read under the lock.
 *
 * A death leaves: the log (rolled back by the next locker), staged publications (redone by the next locker), and what
 * the slot owned: running and building lists, CREATING objects, holder bits, a place in the idle list.  The node's
 * sweep (sweep.pyx) returns those.  Must not be edited without raising RL_VERSION.
 */
#ifndef RL_LAYOUT_H
#define RL_LAYOUT_H
#include <pthread.h>
#include <stddef.h>
#include <stdint.h>

#define RL_MAGIC 0x6574696c5f796172ull /* "ray_lite" little-endian: a byte-order mismatch shows */
#define RL_VERSION 7u
#define RL_NONE 0u
#define RL_ID_BYTES 20
#define RL_PAGE 4096u
#define RL_LOG_MAX 128  /* capacity of the undo log; a section may use RL_LOG_BUDGET of it */
#define RL_LOG_BUDGET 64
#define RL_STAGE_MAX 32 /* publications of one section */
#define RL_OBJECT_INLINE 40
#define RL_TASK_INLINE 28 /* a plain call of three numbers */
#define RL_REPORTS 262144 /* failures at once of which we know whether somebody heard of them */
#define RL_CLASSES 18   /* slab classes, 64 B to 32 KiB (arena.pyx) */
#define RL_FIRST 30     /* first-level lists of the extent index: powers of two in pages */
#define RL_SECOND 8     /* second-level lists: eighths of a power of two */
#define RL_SHAPES 1024  /* chains of the index of queues */
#define RL_DEPTHS 8     /* depths of nested tasks that are told apart */
#define RL_GPUS 256     /* GPUs of a session */
#define RL_GPU_WORDS 4  /* RL_GPUS bits */
#define RL_ATTEMPTS 0xffffu /* most that a task's word for them holds */
#define RL_UNIT 10000   /* amounts of resources are counted in ten-thousandths */

enum rl_object_state { RL_FREE = 0, RL_PENDING = 1, RL_CREATING = 2, RL_SEALED = 3, RL_GARBAGE = 4 };
enum rl_task_state { RL_BUILDING = 1, RL_WAITING = 2, RL_READY = 3, RL_RUNNING = 4, RL_ENDING = 5 };
enum rl_slot_state { RL_ALIVE = 1, RL_SWEEPING = 2 };
enum rl_slot_kind { RL_DRIVER = 1, RL_NODE = 2, RL_WORKER = 3 };
enum rl_idle { RL_BUSY = 0, RL_IDLE = 1, RL_STARTING = 2, RL_RUNG = 3 };
enum rl_listed { RL_UNLISTED = 0, RL_IN_RING = 1, RL_HUNG = 2 };
enum rl_kinds { RL_CPU = 1, RL_GPU = 2, RL_CUSTOM = 3 };
enum rl_extent_state { RL_EXTENT_FREE = 1, RL_EXTENT_USED = 2, RL_EXTENT_SLAB = 3, RL_EXTENT_SPILLED = 4,
                       RL_EXTENT_HOLE = 5 };
enum rl_ref_kind { RL_REF_ARGUMENT = 1, RL_REF_CONTENT = 2 };
enum rl_waiter { RL_NOBODY = 0, RL_MANY = 0xffffffffu };
enum rl_object_flags { RL_INDEXED = 1, RL_JOB_PINNED = 2 };
enum rl_task_flags { RL_NO_INLINE = 1, RL_INTERRUPTED = 2, RL_PLAIN_ARGS = 4, RL_WRITABLE_ARGS = 8, RL_CANCELLED = 16,
                     RL_CANCEL_FORCED = 32, RL_CANCEL_TOLD = 64, RL_CANCEL_ALL = 128 };
enum rl_verdict { RL_DEADLOCK = 1, RL_WAITS = 2 };
enum rl_kind { RL_PLAIN = 1, RL_PICKLE = 2, RL_BUFFERS = 3, RL_ERROR = 0x100 };
enum rl_publication { RL_PUBLISH_STATE = 1, RL_PUBLISH_BELL = 2 };

/* one table of equal entries; located by the header */
typedef struct {
    uint64_t offset;   /*  0 writer: init */
    uint32_t stride;   /*  8 writer: init */
    uint32_t capacity; /* 12 writer: init */
    uint32_t limit;    /* 16 writer: lock; entries whose pages are committed */
    uint32_t used;     /* 20 writer: lock; entries ever taken, 0 included */
    uint32_t free;     /* 24 writer: lock; head of the free list */
    uint32_t live;     /* 28 writer: lock; entries in use now */
} rl_table;

/* an undo entry: where = offset | bytes << 56 */
typedef struct {
    uint64_t where; /*  0 writer: lock holder */
    uint64_t old;   /*  8 writer: lock holder */
} rl_undo;

/* a store to be made after the commit, redone by whoever finds the holder dead */
typedef struct {
    uint32_t kind;  /*  0 writer: lock holder; rl_publication */
    uint32_t index; /*  4 writer: lock holder; object or slot */
    uint32_t value; /*  8 writer: lock holder; new state */
    uint32_t spare; /* 12 writer: nobody */
} rl_stage;

/* the one lock with its undo log; never unmapped while a thread may be inside.
 * word = undo entries in the low half, publications due in the high half: one store of it is the commit. */
typedef struct {
    pthread_mutex_t mutex; /*   writer: glibc and the kernel */
    char pad[64 - sizeof(pthread_mutex_t) % 64]; /* writer: nobody */
    volatile uint64_t word; /*  writer: lock holder */
    uint32_t staged;        /*  writer: lock holder; publications collected, inert until the commit */
    uint32_t longest;       /*  writer: lock holder; longest log ever committed, for statistics */
    uint64_t recoveries;    /*  writer: lock holder; deaths inside the lock that were repaired */
    char pad2[40];          /*  writer: nobody */
    rl_undo undo[RL_LOG_MAX];      /* writer: lock holder */
    rl_stage stage[RL_STAGE_MAX];  /* writer: lock holder */
} rl_mutex;

/* object entry - two cache lines; found by index and generation, by id only once its bytes were shown (ids.pyx).
 * Owner dies while CREATING, or while its task runs: the sweep frees the block and the bits; once SEALED: nothing to do. */
typedef struct {
    uint32_t state;      /*   0 writer: lock; PENDING/CREATING -> SEALED is published. Stale: harmless, readers wait */
    uint32_t next;       /*   4 writer: lock; free list, garbage list, or next return of the same task */
    uint8_t id[RL_ID_BYTES]; /* 8 writer: fresh */
    uint32_t generation; /*  28 writer: lock; grows when the entry is freed, so that old handles show */
    uint32_t kind;       /*  32 writer: fresh, owner; format and RL_ERROR */
    uint32_t pins;       /*  36 writer: lock; refs (arguments, contents) that name it */
    uint32_t holders;    /*  40 writer: lock; processes with a bit; fsck compares with the rows */
    uint32_t owner;      /*  44 writer: lock; slot that creates it */
    uint64_t size;       /*  48 writer: fresh, owner; payload bytes */
    uint32_t extent;     /*  56 writer: lock; block, or none when the payload is inline */
    uint16_t cell;       /*  60 writer: lock; cell of a slab */
    uint16_t flags;      /*  62 writer: lock; rl_object_flags */
    uint32_t waiter;     /*  64 writer: atomic; slot, MANY or none. Losing a store here loses a wake: seq_cst pair */
    uint32_t task;       /*  68 writer: lock; the live task that returns it */
    uint32_t edges;      /*  72 writer: lock; refs of tasks that wait for it */
    uint32_t contents;   /*  76 writer: lock; refs to the objects whose ids it contains */
    uint32_t hash_next;  /*  80 writer: lock; chain of the id index */
    uint32_t site;       /*  84 writer: fresh; object with the place of the put or call, or none */
    uint8_t data[RL_OBJECT_INLINE]; /* 88 writer: fresh, owner; with a block: rl_use */
} rl_object;

/* what is known of an object's block, where its inline bytes would be; kept if there is a file to spill into. The block is
 * an arena's, or a run of that file, as its extent says. Owner of a use dies: the sweep takes its bit, and so its count. */
typedef struct {
    uint32_t count;    /*  0 writer: lock; processes that look at the bytes; fsck compares with the rows */
    uint32_t stamp;    /*  4 writer: lock; when somebody last did, in units of 2^20 ns, modulo 2^32 */
    uint64_t checksum; /*  8 writer: lock; of the bytes, while they are spilled */
    uint32_t turn;     /* 16 writer: lock; grows whenever the bytes move */
    uint32_t spare;    /* 20 writer: nobody */
} rl_use;

/* task record - two cache lines. In exactly one place: free list, slot.building, nowhere (WAITING: reached through the
 * edges of its arguments), a queue (READY), slot.running, the header's `ending` (cancelled, and not yet the node's). Owner dies:
 * BUILDING is unwound, RUNNING is requeued or failed. */
typedef struct {
    uint32_t state;      /*   0 writer: lock */
    uint32_t next;       /*   4 writer: lock; free list, queue, building list, or the outer task on the same stack */
    uint8_t id[RL_ID_BYTES]; /* 8 writer: fresh */
    uint32_t serial;     /*  28 writer: lock; grows when the record is freed */
    uint32_t prev;       /*  32 writer: lock; queue, building list */
    uint32_t function;   /*  36 writer: fresh; object with the function's pickle, pinned for the job */
    uint32_t owner;      /*  40 writer: lock; slot that builds or runs it */
    uint16_t queue;      /*  44 writer: fresh */
    uint16_t cell;       /*  46 writer: fresh; says nothing without an extent */
    uint32_t ndeps;      /*  48 writer: lock; arguments not sealed; nobody ever recomputes it */
    uint16_t attempts;   /*  52 writer: lock; attempts begun, at most RL_ATTEMPTS */
    uint16_t max_retries; /* 54 writer: fresh; RL_ATTEMPTS: unlimited */
    uint32_t nreturns;   /*  56 writer: lock */
    uint32_t returns;    /*  60 writer: lock; first return, chained by rl_object.next, last first */
    uint32_t refs;       /*  64 writer: lock; argument refs, last first */
    uint32_t parent;     /*  68 writer: fresh; record of the submitting task, or none for a driver */
    uint32_t parent_serial; /* 72 writer: fresh */
    uint32_t args_size;  /*  76 writer: fresh */
    uint32_t extent;     /*  80 writer: lock; block of the arguments, or none when inline */
    uint32_t site;       /*  84 writer: fresh; object with the place of the call, pinned for the job, or none */
    uint16_t flags;      /*  88 writer: lock; rl_task_flags */
    uint16_t spare;      /*  90 writer: nobody; the index of an actor fits */
    uint32_t nrefs;      /*  92 writer: lock */
    uint32_t runtime_env; /* 96 writer: fresh; object that says where the task runs, kept for the job, or none */
    uint8_t data[RL_TASK_INLINE]; /* 100 writer: fresh */
} rl_task;

/* ref - one object named by a task (argument) or by another object (content) */
typedef struct {
    uint32_t state;     /*  0 writer: lock; rl_ref_kind or RL_FREE */
    uint32_t next;      /*  4 writer: lock; free list, or next ref of the same owner */
    uint32_t object;    /*  8 writer: lock; the object it pins */
    uint32_t owner;     /* 12 writer: lock; task or containing object */
    uint32_t edge_next; /* 16 writer: lock; other refs that wait for the same object */
    uint32_t edge_prev; /* 20 writer: lock */
    uint32_t linked;    /* 24 writer: lock; 1 while in the object's edge list */
    uint32_t spare;     /* 28 writer: nobody */
} rl_ref;

/* space - the pages of one file. Extents, the runs of pages, tile [0, committed); those that are free are listed by size. */
typedef struct {
    uint32_t pages;     /*   0 writer: init; how many there may be */
    uint32_t committed; /*   4 writer: lock; how many there are: of the arena, what fallocate accepted */
    uint32_t last;      /*   8 writer: lock; the extent that ends at committed */
    uint32_t first_map; /*  12 writer: lock; non-empty first-level lists */
    uint32_t second_map[RL_FIRST];        /* 16 writer: lock */
    uint32_t heads[RL_FIRST * RL_SECOND]; /* 136 writer: lock; free runs by class */
} rl_space;

/* extent - a run of pages of a space */
typedef struct {
    uint32_t state;     /*  0 writer: lock; rl_extent_state */
    uint32_t next;      /*  4 writer: lock; unused descriptors, free runs of a class, slabs with room */
    uint32_t prev;      /*  8 writer: lock */
    uint32_t start;     /* 12 writer: lock; pages */
    uint32_t pages;     /* 16 writer: lock */
    uint32_t left;      /* 20 writer: lock; neighbour before, in address order */
    uint32_t right;     /* 24 writer: lock; neighbour after */
    uint32_t clas;      /* 28 writer: lock; of a SLAB its class, of a HOLE its number, of a free run of the spill file 1 when its
                         *    disk space went back */
    uint64_t cells[4];  /* 32 writer: lock; bitmap of a slab's cells in use */
} rl_extent;

/* kind of resource: CPU, GPU (of which only the whole free ones count here), and the custom ones from RL_CUSTOM on */
typedef struct {
    uint32_t state; /*  0 writer: init; 1 */
    uint32_t next;  /*  4 writer: nobody */
    int64_t total;  /*  8 writer: init; in units of 1/RL_UNIT */
    int64_t free;   /* 16 writer: lock; CPUs may be below zero after a blocked task woke. What whales hold counts as free */
    uint32_t head;  /* 24 writer: lock; queues that hang here, because there is too little of it: the least demanding first */
    uint32_t tail;  /* 28 writer: lock */
} rl_kind;

/* demand - how much of a custom kind the tasks of a shape need; a shape's demands stand in a row, by kind */
typedef struct {
    uint32_t state; /*  0 writer: fresh; 1 */
    uint32_t kind;  /*  4 writer: fresh */
    int64_t amount; /*  8 writer: fresh */
} rl_demand;

/* ready queue of one (job, shape, options, depth). Not empty, it is in the ring, or hangs on the list of a kind that it lacks */
typedef struct {
    uint32_t state;  /*  0 writer: lock; 1 in use */
    uint32_t next;   /*  4 writer: lock; ring, or a kind's list */
    uint32_t prev;   /*  8 writer: lock */
    uint32_t job;    /* 12 writer: fresh; slot of the driver */
    int64_t cpus;    /* 16 writer: fresh; in units of 1/RL_UNIT */
    int64_t gpus;    /* 24 writer: fresh; below RL_UNIT a part of one, else whole ones */
    uint32_t first;  /* 32 writer: fresh; its demands */
    uint32_t count;  /* 36 writer: fresh */
    uint32_t head;   /* 40 writer: lock */
    uint32_t tail;   /* 44 writer: lock */
    uint32_t length; /* 48 writer: lock */
    uint32_t listed; /* 52 writer: lock; rl_listed */
    uint32_t hung;   /* 56 writer: lock; the kind that it lacks, while it hangs or has the reservation */
    uint32_t options; /* 60 writer: fresh; object with the options of its tasks, pinned for the job, or none */
    int64_t passed;  /* 64 writer: lock; since when it hangs without one of its tasks being taken, 0: it doesn't */
    uint32_t chain;  /* 72 writer: lock; next queue of the same hash; of the first one of a shape only */
    uint32_t depth;  /* 76 writer: fresh; 0: for tasks of a driver, 1: for tasks of those, and so on up to RL_DEPTHS - 1 */
    uint32_t base;   /* 80 writer: fresh; the first queue of the shape, whose depth is 0 */
    uint32_t sibling; /* 84 writer: lock; another queue of the shape, of another depth */
    uint32_t deep_next; /* 88 writer: lock; of nested tasks, while it is in the ring: the ring of its depth */
    uint32_t deep_prev; /* 92 writer: lock */
    uint32_t spare[8]; /* 96 writer: nobody */
} rl_queue;

/* process slot - the first cache line under the lock, the second atomic, the third under the lock */
typedef struct {
    uint32_t state;     /*   0 writer: lock */
    uint32_t next;      /*   4 writer: lock; free list, or idle list (most recently idle first) */
    uint32_t prev;      /*   8 writer: lock; idle list */
    uint32_t kind;      /*  12 writer: lock; rl_slot_kind */
    uint32_t pid;       /*  16 writer: lock */
    uint32_t epoch;     /*  20 writer: lock; grows when the slot is freed */
    uint32_t running;   /*  24 writer: lock; innermost task, chained by next */
    uint32_t building;  /*  28 writer: lock; records under construction */
    uint32_t shape;     /*  32 writer: lock; queue of the outermost task, whose demand it holds; 0: it holds nothing */
    uint32_t whale;     /*  36 writer: lock; next slot that holds more demands than one section could count */
    uint32_t idle;      /*  40 writer: lock; rl_idle */
    uint32_t blocked;   /*  44 writer: lock; depth of blocking calls that gave the CPUs back */
    uint64_t started;   /*  48 writer: lock; start time from /proc/pid/stat, against pid reuse */
    uint64_t finished;  /*  56 writer: lock; tasks finished */
    uint32_t bell;      /*  64 writer: atomic; an idle worker waits for it to change */
    uint32_t parked;    /*  68 writer: atomic; the worker sleeps on the bell */
    uint32_t arrived;   /*  72 writer: atomic; seals of objects that this process marked */
    uint32_t wake_at;   /*  76 writer: atomic; value of arrived that the least demanding waiting thread needs */
    uint32_t waiting;   /*  80 writer: atomic; threads asleep on arrived */
    uint32_t hungry;    /*  84 writer: atomic; since when it waits for room in a full store (as rl_use.stamp), or 0 */
    uint32_t leaving;   /*  88 writer: atomic; the node asks this idle worker, off the list already, to end */
    uint32_t verdict;   /*  92 writer: atomic; RL_WAITS: it is blocked without a timeout; RL_DEADLOCK: and that can't end */
    uint32_t spare[8];  /*  96 writer: nobody */
    uint64_t gpus[RL_GPU_WORDS]; /* 128 writer: lock; the GPUs of its tasks, for good once it is keyed */
    uint32_t keyed;     /* 160 writer: lock; 1 when it has run a task in a session with GPUs: it serves only tasks with these */
    uint32_t threads;   /* 164 writer: lock; its thread pools are made for so many CPUs, and can't be changed; 0: they can */
    int64_t since;      /* 168 writer: lock; when it became idle, or blocked */
    uint64_t spare2[2]; /* 176 writer: nobody */
} rl_slot;

typedef struct {
    uint64_t magic;         /* writer: init */
    uint32_t version;       /* writer: init; RL_VERSION */
    uint32_t abi;           /* writer: init; architecture and sizeof(pthread_mutex_t) */
    uint64_t nonce;         /* writer: init; names the session */
    uint64_t pid_namespace; /* writer: init; robust futexes name threads by namespace-relative id */
    uint64_t control_bytes; /* writer: init */
    uint64_t arena_bytes;   /* writer: init */
    uint64_t commit_bytes;  /* writer: init; step in which tables and arena grow */
    uint64_t page_bytes;    /* writer: init; of a page of the arena's file: 4 KiB, or a huge page; then the arena grows by it */
    uint64_t row_bytes;     /* writer: init; stride of a holder row */
    uint64_t rows;          /* writer: init; offset of the holder rows */
    uint64_t uses;          /* writer: init; where the bits of uses are in a row, behind those of holds */
    uint32_t buckets;       /* writer: init; number of buckets, a power of two */
    uint32_t spill_least;   /* writer: init; objects of so many bytes and more may be spilled, 0: none */
    uint64_t bucket_offset; /* writer: init */
    uint32_t poison;        /* writer: atomic; a reason once the region cannot be trusted. Stale: one more section */
    uint32_t deaths;        /* writer: atomic; lock recoveries and sweeps, a hint to look again */
    uint32_t rung;          /* writer: atomic; the node's doorbell is rung and not yet answered */
    uint32_t closing;       /* writer: atomic; the session ends */
    uint32_t reports;       /* writer: atomic; serial number of the last failure */
    uint32_t hungry;        /* writer: atomic; somebody may wait for room. Stale: one look at the slots more */
    uint32_t turn;          /* writer: init; how long who waits for room goes before others, in units of 2^20 ns */
    char pad0[4];           /* writer: nobody */
    rl_table objects;       /* writer: see rl_table */
    rl_table tasks;         /* writer: see rl_table */
    rl_table refs;          /* writer: see rl_table */
    rl_table extents;       /* writer: see rl_table */
    rl_table queues;        /* writer: see rl_table */
    rl_table slots;         /* writer: see rl_table */
    rl_table kinds;         /* writer: see rl_table; none is ever given back */
    rl_table demands;       /* writer: see rl_table; none is ever given back */
    int64_t aging;          /* writer: init; ns after which a hanging shape reserves what is freed */
    uint32_t shapes[RL_SHAPES]; /* writer: lock; index of the queues: first of each chain */
    uint32_t whales;        /* writer: lock; first slot that holds more demands than one section could count */
    uint32_t nhung;         /* writer: lock; queues that hang */
    uint32_t reserved;      /* writer: lock; the hanging queue for whose next task resources are kept, or none */
    uint32_t lenders;       /* writer: lock; who works and holds of the kind that the reserved one lacks; nothing without it */
    uint32_t ending;        /* writer: lock; cancelled tasks that were queued, for the node to end, chained by next */
    uint32_t cancels;       /* writer: lock; grows when a running task is cancelled */
    uint32_t full;          /* writer: atomic; no more workers can be started. Stale: the node is rung in vain, or later */
    uint32_t keyed;         /* writer: lock; 1 once some workers can't serve all shapes */
    uint64_t gpu_free[RL_GPU_WORDS];   /* writer: lock; bit: nobody has a part of this GPU */
    uint64_t gpu_shared[RL_GPU_WORDS]; /* writer: lock; bit: tasks have parts of it */
    int64_t gpu_room[RL_GPUS];         /* writer: lock; what is left of a shared one */
    int64_t waited;         /* writer: lock; since when nested tasks have had precedence over others that were there, or 0 */
    uint32_t deep[RL_DEPTHS]; /* writer: lock; of those in the ring, rings of the queues of each depth from 1 on */
    uint32_t working;       /* writer: lock; workers that run a task and are not blocked */
    uint32_t nested;        /* writer: lock; of these, those whose outermost task is a nested one */
    uint32_t lent;          /* writer: lock; workers that are blocked in a task */
    uint32_t ready;         /* writer: lock; ring of queues that are not empty and may fit, next to be served */
    uint32_t idle;          /* writer: lock; head of the idle list */
    uint32_t idle_last;     /* writer: lock; its tail: who is idle the longest */
    uint32_t nidle;         /* writer: lock */
    uint32_t nstarting;     /* writer: lock; workers forked and not yet here */
    uint32_t ncoming;       /* writer: lock; workers rung and not yet here */
    uint32_t nready;        /* writer: lock; tasks in queues */
    uint32_t garbage;       /* writer: lock; dead objects whose contents are still pinned */
    uint32_t reserve;       /* writer: init; the last pages of the arena, which only failures may use */
    uint32_t kept;          /* writer: lock; objects kept for the job: functions, call sites, settings */
    uint64_t used_bytes;    /* writer: lock; bytes of the arena's blocks in use */
    uint64_t spilled_bytes; /* writer: lock; bytes of spilled blocks */
    uint64_t kept_bytes;    /* writer: lock; of them, those of kept objects */
    rl_space arena;         /* writer: see rl_space */
    rl_space spill;         /* writer: see rl_space */
    rl_space holes;         /* writer: see rl_space; lists of the arena's runs whose pages the kernel has back, their sum */
    uint32_t punches;       /* writer: lock; grows whenever pages go back: the number of a hole, in its `clas` */
    uint32_t loose_least;   /* writer: init; a free run of so many pages is worth giving back, 0: none is */
    uint32_t loose;         /* writer: lock; such a run came to be since the node looked */
    uint32_t grown;         /* writer: lock; a process that is not the node let the arena grow since the node looked */
    uint32_t partial[RL_CLASSES];           /* writer: lock; slabs with room by class */
    char pad1[64];          /* writer: nobody */
    pthread_mutex_t node_life; /* writer: glibc and the kernel; the node holds it as long as it lives */
    char pad2[64];          /* writer: nobody */
    rl_mutex lock __attribute__((aligned(64))); /* writer: see rl_mutex */
    uint32_t raised[RL_REPORTS / 32]; /* writer: atomic; failures that a get has raised, a bit each. Stale: one print more */
} rl_header;

#define RL_AT(type, field, at) _Static_assert(offsetof(type, field) == (at), #type "." #field)
RL_AT(rl_object, waiter, 64);
RL_AT(rl_object, data, 88);
RL_AT(rl_task, data, 100);
RL_AT(rl_extent, cells, 32);
RL_AT(rl_space, heads, 136);
RL_AT(rl_slot, bell, 64);
RL_AT(rl_slot, gpus, 128);
_Static_assert(sizeof(rl_table) == 32, "rl_table");
_Static_assert(sizeof(rl_object) == 128, "rl_object");
_Static_assert(sizeof(rl_use) <= RL_OBJECT_INLINE, "rl_use");
_Static_assert(sizeof(rl_task) == 128, "rl_task");
_Static_assert(sizeof(rl_ref) == 32, "rl_ref");
_Static_assert(sizeof(rl_extent) == 64, "rl_extent");
_Static_assert(sizeof(rl_kind) == 32, "rl_kind");
_Static_assert(sizeof(rl_demand) == 16, "rl_demand");
_Static_assert(sizeof(rl_queue) == 128, "rl_queue");
_Static_assert(sizeof(rl_slot) == 192, "rl_slot");
_Static_assert(offsetof(rl_object, next) == 4 && offsetof(rl_task, next) == 4 && offsetof(rl_ref, next) == 4 &&
               offsetof(rl_extent, next) == 4 && offsetof(rl_queue, next) == 4 && offsetof(rl_slot, next) == 4,
               "tables link free entries through their second word");
#endif
