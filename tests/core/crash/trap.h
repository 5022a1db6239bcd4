/* trap.h - single-stepping by the x86 trap flag: after every instruction the control region is compared with its last
 * copy, and `changed` is called when it differs.
 *
 * A handler runs on the thread that is stepped, so it puts back what it disturbs: errno and the thread's owed wake-ups.
 * Only committed, meaningful pieces of the region (spans) are looked at; the arrays of undo entries and publications are
 * copied but not compared, since an entry counts only once `word` says so, and that is a change.
 */
#ifndef RL_TRAP_H
#define RL_TRAP_H
#include <signal.h>
#include "region/sync.h"
#define RL_SPANS 32

typedef struct { uint64_t at, bytes; uint32_t compared; } rl_span;
typedef struct {
    char *live, *last; /* the region that is stepped, and its bytes after the last change */
    rl_span span[RL_SPANS];
    uint32_t spans;
    uint64_t instructions, states;
    void (*changed)(void);
} rl_stepper;
static rl_stepper rl_step;

static void rl_span_add(uint64_t at, uint64_t bytes, uint32_t compared) {
    rl_span s = {at, bytes, compared};
    rl_step.span[rl_step.spans++] = s;
}
static void rl_spans_copy(char *to, const char *from) {
    for (uint32_t i = 0; i < rl_step.spans; i++)
        memcpy(to + rl_step.span[i].at, from + rl_step.span[i].at, rl_step.span[i].bytes);
}
static int rl_spans_differ(const char *a, const char *b) {
    for (uint32_t i = 0; i < rl_step.spans; i++) {
        rl_span *s = &rl_step.span[i];
        if (s->compared && memcmp(a + s->at, b + s->at, s->bytes)) return 1;
    }
    return 0;
}
static void rl_trapped(int signal) {
    int saved = errno;
    rl_debt owed = rl_owed;
    (void)signal;
    rl_step.instructions++;
    if (rl_spans_differ(rl_step.live, rl_step.last)) {
        rl_spans_copy(rl_step.last, rl_step.live);
        rl_step.states++;
        rl_step.changed();
    }
    rl_owed = owed;
    errno = saved;
}
static int rl_trap_install(void) {
    struct sigaction a;
    memset(&a, 0, sizeof a);
    a.sa_handler = rl_trapped;
    return sigaction(SIGTRAP, &a, NULL);
}
static void rl_trap_remove(void) { signal(SIGTRAP, SIG_DFL); }
static void rl_forget_debts(void) { memset(&rl_owed, 0, sizeof rl_owed); }

/* the stack pointer moves below the red zone first: pushfq must not write into a leaf function's locals */
#if defined(__x86_64__)
#define RL_FLAGS(change) \
    __asm__ __volatile__("lea -128(%%rsp), %%rsp; pushfq; " change "; popfq; lea 128(%%rsp), %%rsp" ::: "memory", "cc")
static __attribute__((noinline)) void rl_trap_on(void) { RL_FLAGS("orq $0x100, (%%rsp)"); }
static __attribute__((noinline)) void rl_trap_off(void) { RL_FLAGS("andq $-257, (%%rsp)"); }
#else
static void rl_trap_on(void) {}
static void rl_trap_off(void) {}
#endif

/* what the kernel would tell the next locker of this copy, if the holder had died here */
static int rl_mutex_held(pthread_mutex_t *m) { return (m->__data.__lock & 0x3fffffff) != 0; }
/* a copy's lock, free and not robust: the stepped thread's list of robust locks must not learn of it */
static void rl_mutex_plain(pthread_mutex_t *m) { pthread_mutex_init(m, NULL); }
#endif
