/* mutants.h - bugs that a switch compiles into the real code on purpose, to show that the tests would find them.
 * Without its switch each macro is the right code.  Other mutants, also named RL_MUTANT_*, are in atomics.h and sync.h. */
#ifndef RL_MUTANTS_H
#define RL_MUTANTS_H

#ifdef RL_MUTANT_UNLOGGED /* for the crash-state enumeration: a store that the log does not have */
#define rl_set32_mutant(R, p, v) rl_fresh32(p, v)
#else
#define rl_set32_mutant(R, p, v) rl_set32(R, p, v)
#endif

#ifdef RL_MUTANT_OVERREAD /* for ASAN: copies the whole room, however little is in it */
#define rl_length_mutant(n, room) (room)
#else
#define rl_length_mutant(n, room) (n)
#endif
#endif
