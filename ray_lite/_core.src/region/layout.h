/* layout.h - the shared region, byte by byte.
 *
 * Two mappings.  CONTROL holds every word that says what is true (this file and
 * entries.h); ARENA holds object bytes and nothing
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
 *   lock   under the lock through rl_set16, rl_set32 or rl_set64 (sync.h), so that a dead writer is rolled back;
 *   fresh  additionally by plain store while the entry is free or being built, when nobody else can reach it;
 *   owner  by the one process that runs the task or creates the object, before it is sealed;
 *   atomic by anyone with atomic instructions, never logged: a rollback would undo a stranger's update;
 *   init   once, before the region has a second user.
 * Lock-free readers: only `rl_object.state` (acquire; by processes whose holder bit or pin keeps the entry), and then
 * the sealed fields behind it; the atomic words; and by rl_load, as hints that the lock confirms: a table's `used` and
 * `limit`, `garbage`, `nready`, `nstalled`, `cancels`, `listed` and `stalled_since` of a queue, a slot's own
 * `availability` (rl_put16 to rl_put64: never torn), and of a sealed object the bit RL_JOB_PINNED of its `flags`, which stays.  Anything else is
 * read under the lock.
 *
 * A death leaves: the log (rolled back by the next locker), staged publications (redone by the next locker), and what
 * the slot owned: running and building lists, CREATING objects, holder bits, a place in the idle list.  The node's
 * sweep (sweep.pyx) returns those.  Must not be edited without raising RL_VERSION.
 */
#ifndef RL_LAYOUT_H
#define RL_LAYOUT_H
#include "entries.h"

typedef struct {
    uint64_t magic;         /* writer: init */
    uint32_t version;       /* writer: init; RL_VERSION */
    uint32_t abi;           /* writer: init; architecture and sizeof(pthread_mutex_t) */
    uint64_t session_id;    /* writer: init */
    uint64_t pid_namespace; /* writer: init; robust futexes name threads by namespace-relative id */
    uint64_t control_bytes; /* writer: init */
    uint64_t arena_bytes;   /* writer: init */
    uint64_t commit_bytes;  /* writer: init; step in which tables and arena grow */
    uint64_t page_bytes;    /* writer: init; of a page of the arena's file: 4 KiB, or a huge page; then the arena grows by it */
    uint64_t row_bytes;     /* writer: init; stride of a holder row */
    uint64_t rows;          /* writer: init; offset of the holder rows */
    uint64_t reader_bits;   /* writer: init; where the reader bits are in a row, behind the holder bits */
    uint32_t buckets;       /* writer: init; number of buckets, a power of two */
    uint32_t spill_least;   /* writer: init; objects of so many bytes and more may be spilled, 0: none */
    uint64_t bucket_offset; /* writer: init */
    uint32_t poison;        /* writer: atomic; a reason once the region cannot be trusted. Stale: one more section */
    uint32_t deaths;        /* writer: atomic; lock recoveries and sweeps, a hint to look again */
    uint32_t bell_rung;     /* writer: atomic; the node's doorbell is rung and not yet answered */
    uint32_t closing;       /* writer: atomic; the session ends */
    uint32_t reports;       /* writer: atomic; serial number of the last failure */
    uint32_t waiting_for_room;        /* writer: atomic; somebody may wait for room. Stale: one look at the slots more */
    uint32_t room_precedence; /* writer: init; how long who waits for room goes before others, in units of 2^20 ns */
    char pad0[4];           /* writer: nobody */
    rl_table objects;       /* writer: see rl_table */
    rl_table tasks;         /* writer: see rl_table */
    rl_table refs;          /* writer: see rl_table */
    rl_table extents;       /* writer: see rl_table */
    rl_table queues;        /* writer: see rl_table */
    rl_table slots;         /* writer: see rl_table */
    rl_table resources;     /* writer: see rl_table; none is ever given back */
    rl_table demands;       /* writer: see rl_table; none is ever given back */
    int64_t aging;          /* writer: init; ns after which a hanging shape reserves what is freed */
    uint32_t shapes[RL_SHAPES]; /* writer: lock; index of the queues: first of each chain */
    uint32_t wide_holders;        /* writer: lock; first slot that holds more demands than one section could count */
    uint32_t nstalled;         /* writer: lock; queues that hang */
    uint32_t reserved_for;      /* writer: lock; the hanging queue for whose next task resources are kept, or none */
    uint32_t working_holders;       /* writer: lock; who works and holds of the kind that the reserved one lacks; nothing without it */
    uint32_t cancelled_queued; /* writer: lock; cancelled tasks that were queued, for the node to end, chained by next */
    uint32_t cancels;       /* writer: lock; grows when a running task is cancelled */
    uint32_t at_limit;      /* writer: atomic; no more workers can be started. Stale: the node is rung in vain, or later */
    uint32_t workers_differ; /* writer: lock; 1 once some workers can't serve all shapes */
    uint64_t gpu_free[RL_GPU_WORDS];   /* writer: lock; bit: nobody has a part of this GPU */
    uint64_t gpu_shared[RL_GPU_WORDS]; /* writer: lock; bit: tasks have parts of it */
    int64_t gpu_room[RL_GPUS];         /* writer: lock; what is left of a shared one */
    int64_t toplevel_waiting_since;         /* writer: lock; since when nested tasks have had precedence over others that were there, or 0 */
    uint32_t nested_rings[RL_DEPTHS]; /* writer: lock; of those in the ring, rings of the queues of each depth from 1 on */
    uint32_t nworking;       /* writer: lock; workers that run a task and are not blocked */
    uint32_t nworking_nested;        /* writer: lock; of these, those whose outermost task is a nested one */
    uint32_t nblocked;          /* writer: lock; workers that are blocked in a task */
    uint32_t ready_ring;       /* writer: lock; ring of queues that are not empty and may fit, next to be served */
    uint32_t idle_first;        /* writer: lock; head of the idle list */
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
    uint32_t ntrims;       /* writer: lock; grows whenever pages go back: the number of a hole, in its `clas` */
    uint32_t trim_least;   /* writer: init; a free run of so many pages is worth giving back, 0: none is */
    uint32_t trimmable;         /* writer: lock; such a run came to be since the node looked */
    uint32_t grew;         /* writer: lock; a process that is not the node let the arena grow since the node looked */
    uint32_t partial[RL_CLASSES];           /* writer: lock; slabs with room by class */
    char pad1[64];          /* writer: nobody */
    pthread_mutex_t node_life; /* writer: glibc and the kernel; the node holds it as long as it lives */
    char pad2[64];          /* writer: nobody */
    rl_mutex lock __attribute__((aligned(64))); /* writer: see rl_mutex */
    uint32_t raised[RL_REPORTS / 32]; /* writer: atomic; failures that a get has raised, a bit each. Stale: one print more */
} rl_header;
#endif
