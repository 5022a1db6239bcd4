/* entries.h - the entries of the region's tables, byte by byte.  Each field names its writer, in the words of layout.h. */
#ifndef RL_ENTRIES_H
#define RL_ENTRIES_H
#include <pthread.h>
#include <stddef.h>
#include <stdint.h>
#include "constants.h"

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
    uint32_t what;  /*  0 writer: lock holder; rl_publication */
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
    uint32_t format;     /*  32 writer: fresh, owner; rl_format, with RL_ERROR for a failure */
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
    uint8_t data[RL_OBJECT_INLINE]; /* 88 writer: fresh, owner; with a block: rl_block_info */
} rl_object;

/* what is known of an object's block, where its inline bytes would be; kept if there is a file to spill into. The block is
 * an arena's, or a run of that file, as its extent says. Owner of a use dies: the sweep takes its bit, and so its count. */
typedef struct {
    uint32_t readers;  /*  0 writer: lock; processes that read the bytes; fsck compares with the rows */
    uint32_t last_read; /* 4 writer: lock; when somebody last did, in units of 2^20 ns, modulo 2^32 */
    uint64_t checksum; /*  8 writer: lock; of the bytes, while they are spilled */
    uint32_t moves;    /* 16 writer: lock; grows whenever the bytes move */
    uint32_t spare;    /* 20 writer: nobody */
} rl_block_info;

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
} rl_resource;

/* demand - how much of a custom kind the tasks of a shape need; a shape's demands stand in a row, by kind */
typedef struct {
    uint32_t state; /*  0 writer: fresh; 1 */
    uint32_t resource; /* 4 writer: fresh */
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
    uint32_t stalled_on;   /* 56 writer: lock; the kind that it lacks, while it hangs or has the reservation */
    uint32_t options; /* 60 writer: fresh; object with the options of its tasks, pinned for the job, or none */
    int64_t stalled_since;  /* 64 writer: lock; since when it hangs without one of its tasks being taken, 0: it doesn't */
    uint32_t chain;  /* 72 writer: lock; next queue of the same hash; of the first one of a shape only */
    uint32_t depth;  /* 76 writer: fresh; 0: for tasks of a driver, 1: for tasks of those, and so on up to RL_DEPTHS - 1 */
    uint32_t base;   /* 80 writer: fresh; the first queue of the shape, whose depth is 0 */
    uint32_t sibling; /* 84 writer: lock; another queue of the shape, of another depth */
    uint32_t nested_next; /* 88 writer: lock; of nested tasks, while it is in the ring: the ring of its depth */
    uint32_t nested_prev; /* 92 writer: lock */
    uint32_t spare[8]; /* 96 writer: nobody */
} rl_queue;

/* process slot - the first cache line under the lock, the second atomic, the third under the lock */
typedef struct {
    uint32_t state;     /*   0 writer: lock */
    uint32_t next;      /*   4 writer: lock; free list, or idle list (most recently idle first) */
    uint32_t prev;      /*   8 writer: lock; idle list */
    uint32_t role;      /*  12 writer: lock; rl_role */
    uint32_t pid;       /*  16 writer: lock */
    uint32_t epoch;     /*  20 writer: lock; grows when the slot is freed */
    uint32_t running;   /*  24 writer: lock; innermost task, chained by next */
    uint32_t building;  /*  28 writer: lock; records under construction */
    uint32_t shape;     /*  32 writer: lock; queue of the outermost task, whose demand it holds; 0: it holds nothing */
    uint32_t next_wide;     /*  36 writer: lock; next slot that holds more demands than one section could count */
    uint32_t availability; /* 40 writer: lock; rl_availability */
    uint32_t blocked;   /*  44 writer: lock; depth of blocking calls that gave the CPUs back */
    uint64_t started;   /*  48 writer: lock; start time from /proc/pid/stat, against pid reuse */
    uint64_t finished;  /*  56 writer: lock; tasks finished */
    uint32_t bell;      /*  64 writer: atomic; an idle worker waits for it to change */
    uint32_t parked;    /*  68 writer: atomic; the worker sleeps on the bell */
    uint32_t arrived;   /*  72 writer: atomic; seals of objects that this process marked */
    uint32_t wake_at;   /*  76 writer: atomic; value of arrived that the least demanding waiting thread needs */
    uint32_t waiting;   /*  80 writer: atomic; threads asleep on arrived */
    uint32_t waiting_for_room;    /*  84 writer: atomic; since when it waits for room in a full store (as rl_block_info.stamp), or 0 */
    uint32_t leaving;   /*  88 writer: atomic; the node asks this idle worker, off the list already, to end */
    uint32_t deadlock_flag;   /*  92 writer: atomic; RL_WAITS_FOREVER: it is blocked without a timeout; RL_DEADLOCK: and that can't end */
    uint32_t spare[8];  /*  96 writer: nobody */
    uint64_t gpus[RL_GPU_WORDS]; /* 128 writer: lock; the GPUs of its tasks, for good once it is keyed */
    uint32_t gpu_bound; /* 160 writer: lock; 1 when it has run a task in a session with GPUs: it serves only tasks with these */
    uint32_t threads;   /* 164 writer: lock; its thread pools are made for so many CPUs, and can't be changed; 0: they can */
    int64_t since;      /* 168 writer: lock; when it became idle, or blocked */
    uint64_t spare2[2]; /* 176 writer: nobody */
} rl_slot;

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
_Static_assert(sizeof(rl_block_info) <= RL_OBJECT_INLINE, "rl_block_info");
_Static_assert(sizeof(rl_task) == 128, "rl_task");
_Static_assert(sizeof(rl_ref) == 32, "rl_ref");
_Static_assert(sizeof(rl_extent) == 64, "rl_extent");
_Static_assert(sizeof(rl_resource) == 32, "rl_resource");
_Static_assert(sizeof(rl_demand) == 16, "rl_demand");
_Static_assert(sizeof(rl_queue) == 128, "rl_queue");
_Static_assert(sizeof(rl_slot) == 192, "rl_slot");
_Static_assert(offsetof(rl_object, next) == 4 && offsetof(rl_task, next) == 4 && offsetof(rl_ref, next) == 4 &&
               offsetof(rl_extent, next) == 4 && offsetof(rl_queue, next) == 4 && offsetof(rl_slot, next) == 4,
               "tables link free entries through their second word");
#endif
