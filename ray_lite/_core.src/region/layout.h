/* layout.h - the shared region, byte by byte.
 *
 * Two mappings.  CONTROL holds every word that says what is true (this file and entries.h).  ARENA holds only bytes of objects
 * and arguments, so that a wild write into an array cannot break the bookkeeping.  Both are nameless files shared by
 * descriptor.  If there is a spill directory, a third such file holds the bytes of spilled objects; no process maps it.
 *
 *   CONTROL  | header + lock + log | slots | resources | demands | queues | buckets | objects | tasks | refs | extents |
 *            | actors | lanes | rows of holder and reader bits, one per slot | rings of traces (traces.h), one per slot |
 *   ARENA    | page 0 | page 1 | ... committed by fallocate from the front                                       |
 *
 * Tables are arrays that never move, and their entries are named by a 32-bit index.  Index 0 means "none" everywhere, so a
 * zeroed word names nothing.  An entry is either in use, or on its table's free list (`next`), or above `used`.  `limit` says
 * how far the table's pages are committed.
 *
 * Which process may write a word (named on each field line):
 *   lock   under the lock through rl_set16, rl_set32 or rl_set64 (sync.h), so that the stores of a dead writer are rolled back;
 *   fresh  as lock, or by plain store while the entry is free or being built and no other process can reach it;
 *   owner  by the one process that runs the task or creates the object, before it is sealed;
 *   atomic by any process with atomic instructions, never logged: a roll-back would undo another process's update;
 *   init   once, before the region has a second user.
 * Read without the lock: `rl_object.state` (acquire; by processes whose holder bit or pin keeps the entry) and, once it is
 * SEALED, the sealed fields behind it; of a sealed object the bits RL_JOB_PINNED and RL_HANDLE of its `flags`, which never
 * change; the atomic words; what belongs to the reading process (its slot, its running task with its `flags`, its unsealed
 * objects); and, by rl_load, as hints that the lock confirms: a table's `used` and `limit`, `garbage`, `nstalled`,
 * `reserved_for`, `cancels`, `cpus_held`, `trimming`; `free` of a resource; of a job `nready`, `nworking`, `nwanting`, `life_ring`, `threads_wait`, `nawaiting` and
 * `node_looks`; `row_limit` and `awaits` of a slot, `resting` of the process's own actor, and `listed` and `stalled_since` of a queue (rl_put16 to rl_put64: never torn); likewise `grew` and `trimmable`.
 * Listings and statistics (python/listing.pyx, python/region.pyx) read other words too: their results may be out of date.
 * Everything else is read under the lock.
 *
 * A death leaves behind: the log (the next locker rolls it back), staged publications (the next locker makes them), and what
 * the slot owned: running and building lists, CREATING objects, holder and reader bits, resources, a place in the idle list,
 * and an actor's place in a queue. The sweep, which the node runs (tasks/sweep.pyx), frees those.  The layout must not change
 * without a new RL_VERSION.
 */
#ifndef RL_LAYOUT_H
#define RL_LAYOUT_H
#include "entries.h"

typedef struct {
    uint64_t magic;                    /* writer: init */
    uint32_t version;                  /* writer: init; RL_VERSION */
    uint32_t abi;                      /* writer: init; architecture and sizeof(pthread_mutex_t) */
    uint64_t session_id;               /* writer: init */
    uint64_t namespaces[RL_NAMESPACES]; /* writer: init; in another one thread ids, user ids or the clock differ */
    uint64_t control_bytes;            /* writer: init */
    uint64_t arena_bytes;              /* writer: init */
    uint64_t commit_bytes;             /* writer: init; step in which tables and arena grow */
    uint64_t page_bytes;               /* writer: init; page size of the arena's file: 4 KiB, or a huge page */
    uint64_t row_bytes;                /* writer: init; stride of the rows */
    uint64_t rows;                     /* writer: init; offset of the rows */
    uint64_t reader_bits;              /* writer: init; where the reader bits are in a row, behind the holder bits */
    uint64_t traces;                   /* writer: init; offset of the rings of traces */
    uint64_t trace_bytes;              /* writer: init; stride of the rings */
    uint32_t trace_records;            /* writer: init; records of a ring: a power of two, or 0 if there are none */
    uint32_t tracing;                  /* writer: atomic; 1: with detail */
    uint32_t buckets;                  /* writer: init; number of buckets, a power of two */
    uint32_t spill_least;              /* writer: init; bytes from which on an object may be spilled; 0: none may */
    uint64_t bucket_offset;            /* writer: init */
    uint32_t poison;                   /* writer: atomic; errno once the region cannot be trusted. Stale: one more section */
    uint32_t reports;                  /* writer: atomic; serial number of the last failure */
    uint32_t rung_jobs[RL_JOB_WORDS];  /* writer: atomic; a bit for each job whose node the host is to ring */
    uint32_t waiting_for_room;         /* writer: atomic; a process may wait for room. Stale: one more look at the slots */
    uint32_t room_precedence;          /* writer: init; how long a waiter for room goes before others, in units of 2^20 ns */
    rl_table objects;                  /* writer: see rl_table */
    rl_table tasks;                    /* writer: see rl_table */
    rl_table refs;                     /* writer: see rl_table */
    rl_table extents;                  /* writer: see rl_table */
    rl_table queues;                   /* writer: see rl_table */
    rl_table slots;                    /* writer: see rl_table */
    rl_table resources;                /* writer: see rl_table; no entry is ever freed */
    rl_table demands;                  /* writer: see rl_table; no entry is ever freed */
    rl_table actors;                   /* writer: see rl_table */
    rl_table lanes;                    /* writer: see rl_table */
    rl_table jobs;                     /* writer: see rl_table */
    int64_t aging;                     /* writer: init; ns after which a stalled queue, or a top-level task, is served first */
    int64_t job_turn;                  /* writer: init; ns for which a job may have more than its share while another has less */
    uint32_t shapes[RL_SHAPES];        /* writer: lock; index of the queues: first of each chain */
    uint32_t names[RL_NAMES];          /* writer: lock; index of the actors that have a name: first of each chain */
    uint32_t lane_chains[RL_LANES];    /* writer: lock; index of the lanes: first of each chain */
    uint32_t wide_holders;             /* writer: lock; first slot that holds the demand of a wide shape */
    uint32_t nstalled;                 /* writer: lock; stalled queues */
    uint32_t reserved_for;             /* writer: lock; the queue that has the reservation, or none */
    uint32_t working_holders;          /* writer: lock; slots that work and hold the resource it lacks */
    uint32_t cancels;                  /* writer: lock; grows when a running task is cancelled */
    uint64_t gpu_free[RL_GPU_WORDS];   /* writer: lock; bit: no task has a part of this GPU */
    uint64_t gpu_shared[RL_GPU_WORDS]; /* writer: lock; bit: tasks have parts of this GPU */
    int64_t gpu_room[RL_GPUS];         /* writer: lock; free part of a shared GPU */
    int64_t cpus_held;                 /* writer: lock; CPUs that actors hold for life, without those of blocked ones */
    uint32_t garbage;                  /* writer: lock; dead objects whose contents are still pinned, chained by next */
    uint32_t reserve;                  /* writer: init; number of the last pages of the arena, which only failures may use */
    uint32_t kept;                     /* writer: lock; objects kept until the session ends, such as functions and call sites */
    uint32_t nameless;                 /* writer: lock; nameless objects, which only move bytes */
    uint64_t used_bytes;               /* writer: lock; bytes of the arena's blocks in use */
    uint64_t spilled_bytes;            /* writer: lock; bytes of spilled blocks */
    uint64_t kept_bytes;               /* writer: lock; of the used bytes, those of kept objects */
    rl_space arena;                    /* writer: see rl_space */
    rl_space spill;                    /* writer: see rl_space */
    rl_space holes;                    /* writer: see rl_space; lists of the arena's runs that were trimmed, and their sum */
    uint32_t ntrims;                   /* writer: lock; counts trims of the arena; a hole keeps its number in `clas` */
    uint32_t trimming;                 /* writer: lock; the run that the host trims now, or none */
    uint32_t trim_least;               /* writer: init; pages from which on a free run is worth trimming; 0: none is */
    uint32_t trimmable;                /* writer: lock; such a run appeared since the host last found none */
    uint32_t grew;                     /* writer: lock; another process than the host grew the arena since it preallocated */
    uint32_t partial[RL_CLASSES];      /* writer: lock; slabs with room, by class */
    rl_mutex lock __attribute__((aligned(64))); /* writer: see rl_mutex */
    uint32_t raised[RL_REPORTS / 32];  /* writer: atomic; a bit for each failure: a get has raised it. Stale: one print more */
} rl_header;
#endif
