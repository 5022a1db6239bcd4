"""Traces: the declarations of region/traces.h, and the pages of a slot's ring."""
cdef extern from "region/traces.h" nogil:
    enum:
        RL_TRACE_RUN, RL_TRACE_SUBMIT, RL_TRACE_ARGUMENT, RL_TRACE_QUEUED, RL_TRACE_PUT, RL_TRACE_MOVE, RL_TRACE_DEATH
        RL_TRACE_EVENT, RL_TRACE_TEXT, RL_TRACE_BYTES, RL_TRACE_TEXT_BYTES
        RL_OUTCOME_DONE, RL_OUTCOME_FAILED, RL_OUTCOME_AGAIN
    ctypedef struct rl_trace:
        uint64_t seq
        uint32_t pid
        uint8_t kind, outcome
        uint16_t actor
        uint8_t id[20]
        uint32_t what
        int64_t begin, end
        uint32_t before, after
    ctypedef struct rl_trace_ring:
        uint64_t written
    rl_trace_ring* rl_trace_ring_of(rl_region* R, uint32_t slot)
    bint rl_traces_detail(rl_region* R)
    void rl_trace_write(rl_region* R, const rl_trace* record)
    bint rl_trace_read(rl_region* R, rl_trace_ring* ring, uint64_t number, rl_trace* to)
    uint64_t rl_trace_seq(rl_trace_ring* ring, uint32_t k)
    uint64_t rl_traces_written(rl_trace_ring* ring)
    void rl_trace_span(rl_region* R, uint8_t kind, const uint8_t* id, int64_t begin)
