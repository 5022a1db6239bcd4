/* constants.h - constants of the region: sizes, limits, flags, and the numbers of roles, formats and states.
 * The meaning and the transitions of the states are in states.h.  Must not define structures. */
#ifndef RL_CONSTANTS_H
#define RL_CONSTANTS_H

#define RL_MAGIC 0x6574696c5f796172ull /* "ray_lite" in little-endian bytes, so that another byte order is noticed */
#define RL_VERSION 14u
#define RL_NONE 0u
#define RL_ID_BYTES 20
#define RL_PAGE 4096u
#define RL_LOG_MAX 128  /* capacity of the undo log; a section may use RL_LOG_BUDGET of it */
#define RL_LOG_BUDGET 64
#define RL_STAGE_MAX 32 /* most publications of one section */
#define RL_OBJECT_SMALL 40
#define RL_TASK_SMALL 28 /* room for a plain call with three numbers */
#define RL_REPORTS 262144 /* failures that have a bit of their own, set when a get raises them; older failures share the bits */
#define RL_CLASSES 18   /* slab classes, 64 B to 32 KiB (memory/arena.pyx) */
#define RL_FIRST 30     /* first-level lists of the extent index: powers of two in pages */
#define RL_SECOND 8     /* second-level lists: eighths of a power of two */
#define RL_SHAPES 1024  /* chains of the index of queues */
#define RL_NAMES 256    /* chains of the index of actors by name */
#define RL_LANES 1024   /* chains of the index of lanes */
#define RL_JOBS 256     /* entries of the table of jobs, the unused first one included */
#define RL_JOB_WORDS 8  /* words of 32 bits for RL_JOBS bits */
#define RL_HOST_JOB 1u  /* its node is the session's host */
#define RL_DEPTHS 8     /* nesting depths that are told apart, 0 (top-level tasks) included */
#define RL_GPUS 256     /* most GPUs of a session */
#define RL_GPU_WORDS 4  /* words of 64 bits for RL_GPUS bits */
#define RL_NAMESPACES 3 /* namespaces that a session does not cross: of pids, users and time */
#define RL_ATTEMPTS 0xffffu /* the most that a task's 16-bit words for attempts and retries hold */
#define RL_UNIT 10000   /* amounts of resources are counted in ten-thousandths */

enum rl_object_state { RL_FREE = 0, RL_PENDING = 1, RL_CREATING = 2, RL_SEALED = 3, RL_GARBAGE = 4 };
enum rl_task_state { RL_BUILDING = 1, RL_WAITING = 2, RL_READY = 3, RL_RUNNING = 4, RL_CANCELLED_QUEUED = 5,
                     RL_MAILED = 6, RL_LANED = 7, RL_PAST = 8 };
enum rl_actor_state { RL_ACTOR_PENDING = 1, RL_ACTOR_STARTING = 2, RL_ACTOR_ALIVE = 3, RL_ACTOR_ENDING = 4, RL_ACTOR_DEAD = 5 };
enum rl_lane_state { RL_LANE_STALLED = 1, RL_LANE_OPEN = 2 };
enum rl_slot_state { RL_ALIVE = 1, RL_SWEEPING = 2 };
enum rl_closing { RL_CLOSING = 1, RL_HOST_LOST = 2 };
enum rl_job_state { RL_JOB_ALIVE = 1, RL_JOB_DROPPING = 2 };
enum rl_role { RL_DRIVER = 1, RL_NODE = 2, RL_WORKER = 3, RL_ACTOR = 4 };
enum rl_availability { RL_BUSY = 0, RL_IDLE = 1, RL_STARTING = 2, RL_RUNG = 3 };
enum rl_listed { RL_UNLISTED = 0, RL_IN_RING = 1, RL_STALLED = 2 };
enum rl_turn_given { RL_TURN_NONE = 0, RL_TURN_GIVEN = 1, RL_TURN_HELD_BACK = 2 };
enum rl_members { RL_TASKS = 0, RL_TURNS = 1, RL_LIVES = 2 };
enum rl_resource_number { RL_CPU = 1, RL_GPU = 2, RL_CUSTOM = 3 };
enum rl_extent_state { RL_EXTENT_FREE = 1, RL_EXTENT_USED = 2, RL_EXTENT_SLAB = 3, RL_EXTENT_SPILLED = 4,
                       RL_EXTENT_HOLE = 5, RL_EXTENT_TRIMMING = 6 };
enum rl_ref_state { RL_REF_ARGUMENT = 1, RL_REF_CONTENT = 2 };
enum rl_waiter { RL_NOBODY = 0, RL_MANY = 0xffffffffu };
enum rl_object_flags { RL_INDEXED = 1, RL_JOB_PINNED = 2, RL_NAMELESS = 4, RL_HANDLE = 8, RL_PUT = 16 };
enum rl_task_flags { RL_NO_INLINE = 1, RL_INTERRUPTED = 2, RL_PLAIN_ARGS = 4, RL_WRITABLE_ARGS = 8, RL_CANCELLED = 16,
                     RL_CANCEL_FORCED = 32, RL_CANCEL_DELIVERED = 64, RL_CANCEL_RECURSIVE = 128,
                     RL_DEADLOCKED = 256, RL_AGAIN = 512, RL_REPLAY = 1024, RL_IN_CYCLE = 2048 };
enum rl_actor_flags { RL_DUE = 1, RL_KILLED = 2, RL_KEEPS = 4, RL_PAST_LOST = 8, RL_ORPHAN = 16, RL_NAMED = 1 << 8 };
enum rl_deadlock { RL_DEADLOCK = 1, RL_WAITS_FOREVER = 2, RL_CYCLE = 3 };
enum rl_format { RL_PLAIN = 1, RL_PICKLE = 2, RL_BUFFERS = 3, RL_HANDLE_VALUE = 4, RL_ERROR = 0x100, RL_ALIAS = 0x200 };
enum rl_publication { RL_PUBLISH_STATE = 1, RL_PUBLISH_BELL = 2 };
#endif
