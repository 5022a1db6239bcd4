/* copy.h - copies buffers into the store: large ones in chunks, by several threads, into pages that are mapped a run at a time.
 *
 * Figures are for two CPUs (AMD EPYC, Linux 6.18).  A copy into fresh 4 KiB pages spends most of its time in page faults, and
 * MADV_POPULATE_WRITE maps a run of pages for half of what single faults cost two threads.  In a copy into warm pages one
 * thread does not use up the memory's bandwidth, and stores past the caches save the read of every line that is overwritten.
 *
 * The threads live as long as one copy, so nothing of them survives a fork; a kill ends them with their process, and the object
 * is still unsealed.  Mechanism only: config.py has the sizes, store/object_store.py chooses the number of threads.  Neighbour:
 * python/payload.pyx.  Must not touch the region's tables, take the GIL, or fail: if a thread cannot be started, the caller
 * does its work. */
#ifndef RL_COPY_H
#define RL_COPY_H
#include <pthread.h>
#include <signal.h>
#include <stdint.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <unistd.h>
#if defined(__x86_64__)
#include <immintrin.h>
#endif
#ifndef MADV_POPULATE_WRITE /* headers before glibc 2.35; kernels before 5.14 refuse it: then each page is faulted in */
#define MADV_POPULATE_WRITE 23
#endif

enum {
    RL_COPY_CHUNK = 2 << 20,   /* a huge page, or a page table: no two threads map the same; some 50 us, or 0.5 ms if fresh */
    RL_COPY_THREADS = 64,
    RL_COPY_STACK = 128 << 10, /* enough: these threads call memcpy and madvise, and run no handlers */
};

typedef struct {
    uint32_t threads;
    uint64_t large;    /* a buffer of so many bytes or more is copied in chunks, by one more thread for each so many */
    uint64_t uncached; /* a buffer of so many bytes or more is copied past the caches */
    uint64_t mapped;   /* a writable buffer of so many bytes or more is a private mapping */
} rl_copy_policy;

static rl_copy_policy rl_copying = {1, 8 << 20, 32 << 20, 1 << 20}; /* of this process; written with the GIL, read without it */

typedef struct {
    char *to;
    const char *from;
    uint64_t n;
    uint32_t next; /* the first chunk that no thread has begun */
    int uncached;
} rl_copy_job;

static inline int64_t rl_faults(void) {
    struct rusage u;
    return getrusage(RUSAGE_THREAD, &u) ? 0 : u.ru_minflt;
}

static void rl_map_pages(char *at, uint64_t n) {
    uint64_t before = (uintptr_t)at % (uint64_t)sysconf(_SC_PAGESIZE);
    madvise(at - before, n + before, MADV_POPULATE_WRITE); /* if refused, the copy faults the pages in */
}

#if defined(__x86_64__)
__attribute__((target("avx"))) static void rl_copy_avx(char *to, const char *from, uint64_t n) { /* n: a multiple of 128 */
    for (uint64_t i = 0; i < n; i += 128) {
        __m256i a = _mm256_loadu_si256((const __m256i *)(from + i));
        __m256i b = _mm256_loadu_si256((const __m256i *)(from + i + 32));
        __m256i c = _mm256_loadu_si256((const __m256i *)(from + i + 64));
        __m256i d = _mm256_loadu_si256((const __m256i *)(from + i + 96));
        _mm256_stream_si256((__m256i *)(to + i), a);
        _mm256_stream_si256((__m256i *)(to + i + 32), b);
        _mm256_stream_si256((__m256i *)(to + i + 64), c);
        _mm256_stream_si256((__m256i *)(to + i + 96), d);
    }
    _mm_sfence(); /* nothing else orders such stores, and the seal may follow */
}

static void rl_copy_uncached(char *to, const char *from, uint64_t n) {
    uint64_t head = -(uintptr_t)to % 128, body;
    if (n < 256 || !__builtin_cpu_supports("avx")) {
        memcpy(to, from, n);
        return;
    }
    body = (n - head) / 128 * 128;
    memcpy(to, from, head);
    rl_copy_avx(to + head, from + head, body);
    memcpy(to + head + body, from + head + body, n - head - body);
}
#else
static void rl_copy_uncached(char *to, const char *from, uint64_t n) { memcpy(to, from, n); }
#endif

static void rl_copy_chunk(const rl_copy_job *j, char *to, uint64_t n) {
    const char *from = j->from + (to - j->to);
    char last = from[n - 1];
    int64_t faults = rl_faults();
    ((volatile char *)to)[n - 1] = last; /* not the first byte: a header before it may have mapped its page already */
    if (rl_faults() != faults) rl_map_pages(to, n); /* for mapped pages this would take as long as the copy */
    if (j->uncached) rl_copy_uncached(to, from, n);
    else memcpy(to, from, n);
}

static void *rl_copy_run(void *job) {
    rl_copy_job *j = (rl_copy_job *)job;
    for (;;) {
        uint64_t k = __atomic_fetch_add(&j->next, 1, __ATOMIC_RELAXED);
        uint64_t skipped = (uintptr_t)j->to % RL_COPY_CHUNK; /* chunks end where pages and page tables end */
        uint64_t start = k ? k * RL_COPY_CHUNK - skipped : 0, end = (k + 1) * RL_COPY_CHUNK - skipped;
        if (start >= j->n) return NULL;
        rl_copy_chunk(j, j->to + start, (end < j->n ? end : j->n) - start);
    }
}

static uint32_t rl_copy_start(rl_copy_job *j, pthread_t *made, uint32_t wanted) { /* returns the number of threads started */
    static const int own[] = {SIGSEGV, SIGBUS, SIGILL, SIGFPE}; /* sent to their thread: if blocked, they kill unhandled */
    pthread_attr_t small;
    sigset_t all, before;
    uint32_t n = 0;
    if (wanted == 0 || pthread_attr_init(&small)) return 0;
    pthread_attr_setstacksize(&small, RL_COPY_STACK);
    sigfillset(&all);
    for (int i = 0; i < 4; i++) sigdelset(&all, own[i]);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    while (n < wanted && pthread_create(&made[n], &small, rl_copy_run, j) == 0) n++;
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    pthread_attr_destroy(&small);
    return n;
}

static void rl_copy(char *to, const char *from, uint64_t n) {
    rl_copy_job job = {to, from, n, 0, n >= rl_copying.uncached};
    pthread_t made[RL_COPY_THREADS];
    uint64_t useful = n / rl_copying.large; /* threads, beside the caller */
    uint32_t most = rl_copying.threads < RL_COPY_THREADS ? rl_copying.threads : RL_COPY_THREADS, helpers;
    if (useful == 0) {
        memcpy(to, from, n);
        return;
    }
    helpers = rl_copy_start(&job, made, useful < most - 1 ? (uint32_t)useful : most - 1);
    rl_copy_run(&job);
    while (helpers) pthread_join(made[--helpers], NULL);
}
#endif
