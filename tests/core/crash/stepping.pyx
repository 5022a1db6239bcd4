"""What trap.h gives. The files of this folder are included behind the core's own, by an umbrella that build.py writes."""
cdef extern from "trap.h" nogil:
    ctypedef struct rl_stepper:
        char* live
        char* last
        uint32_t spans
        uint64_t instructions, states
        void (*changed)() noexcept nogil
    rl_stepper rl_step
    void rl_span_add(uint64_t at, uint64_t n, uint32_t compared)
    void rl_spans_copy(char* to, const char* source)
    int rl_trap_install()
    void rl_trap_remove()
    void rl_forget_debts()
    void rl_trap_on()
    void rl_trap_off()
    bint rl_mutex_held(pthread_mutex_t* m)
    void rl_mutex_plain(pthread_mutex_t* m)
