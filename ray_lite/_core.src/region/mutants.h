/* plants.h - bugs to be compiled into the real code on purpose, so that tests can show that they would be found.
 * Without a switch each macro is the right code.  Others stand where they strike: RL_MUTANT_* in atomics.h and sync.h. */
#ifndef RL_PLANTS_H
#define RL_PLANTS_H

#ifdef RL_MUTANT_UNLOGGED /* for the crash-state enumeration: a store that no roll-back knows */
#define rl_set32_mutant(R, p, v) rl_fresh32(p, v)
#else
#define rl_set32_mutant(R, p, v) rl_set32(R, p, v)
#endif

#ifdef RL_MUTANT_OVERREAD /* for ASAN: the whole room is copied, however little is in it */
#define rl_length_mutant(n, room) (room)
#else
#define rl_length_mutant(n, room) (n)
#endif
#endif
