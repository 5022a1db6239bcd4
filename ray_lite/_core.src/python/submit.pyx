"""Submitting a call: the driver's side of the hot path.

`f.remote` is a `RemoteCall`: it checks, encodes and submits a call whose arguments are plain or ids, in one function, and
leaves all other calls to the Python function given as `slow`.  Neighbours: codec.pyx, callsite.pyx, current_task.pyx;
backends/local.py arms it and holds the slow path.
"""
cdef enum:
    CALL_BYTES = 2048      # bytes of encoded arguments that the fast path takes
    CALL_REFS = 32
    HANDLE_INDEX = 0x7fffffff  # keeps the id of an actor's handle apart from those of returns

cdef tuple MAKING_ROOM_HELPS = (FullReason.STORE, FullReason.MEMORY)


cdef void trace_submission(rl_region* R, rl_spec* s, int64_t begin) noexcept:
    """Records a submission, and the objects among its arguments."""
    cdef rl_trace e
    cdef uint32_t k
    memset(&e, 0, sizeof(e))
    e.kind, e.pid, e.actor, e.what = RL_TRACE_SUBMIT, rl_slot_at(R, R.slot).pid, <uint16_t>s.actor, s.function
    e.begin, e.end = begin, rl_now()
    e.before = s.nreturns
    memcpy(e.id, s.id, RL_ID_BYTES)
    rl_trace_write(R, &e)
    for k in range(s.nrefs):
        e.kind = RL_TRACE_ARGUMENT
        memcpy(&e.what, object_at(R, s.refs[k]).id, RL_ID_BYTES)
        rl_trace_write(R, &e)


cdef object submit_spec(rl_region* R, rl_spec* s):
    """Submits a call; its ObjectID, a list of them, or None for no returns."""
    cdef uint32_t one[2]
    cdef uint32_t* many = NULL
    cdef int64_t begin = rl_now() if rl_traces_detail(R) else 0
    cdef uint32_t k
    cdef int rc
    s.site = site_here()
    check_region(R)  # site_here may have run Python code
    s.returns, s.generations = &one[0], &one[1]
    if s.nreturns > 1:
        many = <uint32_t*>malloc(s.nreturns * 2 * sizeof(uint32_t))
        if many == NULL:
            raise MemoryError(f"no memory for {s.nreturns:,} return ids")
        s.returns, s.generations = many, many + s.nreturns
    s.task = s.returned = s.referred = s.roomed = 0
    next_id(0, s.id)
    if s.creates != NULL:
        id_derive(s.id, HANDLE_INDEX, FOLD_A, s.creates.id)
    set_parent(s)
    rc = task_submit(R, s)
    if rc:
        free(many)
        check(rc)
    if begin:
        trace_submission(R, s, begin)
    if s.nreturns == 1:
        return make_id(R, one[0], one[1], object_at(R, one[0]).id)
    ids = [make_id(R, s.returns[k], s.generations[k], object_at(R, s.returns[k]).id) for k in range(s.nreturns)]
    free(many)
    return ids if ids else None


cdef int spec_of_actor(rl_region* R, rl_spec* s, ObjectID actor) except -1:
    """Names the actor of a call by its handle (None: a plain task)."""
    s.actor = s.actor_serial = 0
    if actor is None:
        return 0
    resolve(R, actor)
    if not rl_load16(&object_at(R, actor.index).flags) & RL_HANDLE:
        raise ValueError(f"{actor!r} is no handle of an actor")
    s.actor, s.actor_serial = (<uint32_t*>object_at(R, actor.index).data)[0], (<uint32_t*>object_at(R, actor.index).data)[1]
    return 0


cdef class RemoteCall:
    """`f.remote`: a call that returns ids at once.

    Args:
        slow: function(this object, args, kwargs) that makes the calls that the fast path does not: the first one of a session,
            and those with keyword arguments, values that are not plain, or errors.
    """

    def __init__(self, slow):
        self.slow = slow

    def arm(self, Region region, target, queue, options, ObjectID actor=None):
        """Enables the fast path for this session. `options`: nreturns, max_retries, flags, least and most positional
        arguments. `actor`: handle of the actor whose method it is, which then decides the queue."""
        self.spec.function, self.spec.queue = target, queue
        self.spec.nreturns, self.spec.max_retries, self.spec.flags, self.least, self.most = options
        self.spec.flags |= RL_PLAIN_ARGS
        spec_of_actor(region.R, &self.spec, actor)
        self.actor = actor
        self.R = region.R

    def __call__(self, *args, **kwargs):
        if not kwargs and is_usable(self.R) and self.least <= PyTuple_GET_SIZE(args) <= self.most and not env_moved():
            try:
                result = self.quick(args)
            except PendingCallsLimitExceeded:
                result = NotImplemented  # the slow path may wait
            except ObjectStoreFullError as full:
                if full.reason not in MAKING_ROOM_HELPS:
                    raise
                result = NotImplemented  # the slow path makes room
            if result is not NotImplemented:
                return result
        return self.slow(self, args, kwargs)

    cdef object quick(self, tuple args):
        """Submits a call; its ids, or NotImplemented if the fast path can't take its arguments."""
        cdef char data[CALL_BYTES]
        cdef uint32_t refs[CALL_REFS]
        cdef rl_spec spec = self.spec
        cdef Py_ssize_t at = 1
        cdef Py_ssize_t n = PyTuple_GET_SIZE(args)
        cdef Py_ssize_t k, one
        if n > ITEMS_MOST:
            return NotImplemented
        data[0] = <char>n
        for k in range(n):
            x = <object>PyTuple_GET_ITEM(args, k)
            if type(x) is ObjectID:
                if (<ObjectID>x).R != self.R or spec.nrefs == CALL_REFS or at == CALL_BYTES:
                    return NotImplemented
                refs[spec.nrefs] = (<ObjectID>x).index
                spec.nrefs += 1
                data[at] = b'R'
                at += 1
                continue
            one = encode_plain(x, data + at, CALL_BYTES - at)
            if one < 0:
                return NotImplemented
            at += one
        spec.args, spec.args_size, spec.refs = data, <uint32_t>at, refs
        spec.runtime_env = context.runtime_env
        return submit_spec(self.R, &spec)


cdef object submit_packed(rl_region* R, rl_spec* s, const uint8_t[::1] args, list refs):
    """Submits a call whose arguments are already bytes."""
    cdef uint32_t* found = <uint32_t*>malloc((len(refs) + 1) * sizeof(uint32_t))
    cdef Py_ssize_t k
    if found == NULL:
        raise MemoryError(f"no memory for {len(refs):,} arguments")
    try:
        for k in range(len(refs)):
            resolve(R, refs[k])
            found[k] = (<ObjectID>refs[k]).index
        s.refs, s.nrefs = found, <uint32_t>len(refs)
        s.args, s.args_size = <const char*>&args[0], <uint32_t>args.shape[0]
        return submit_spec(R, s)
    finally:
        free(found)


def submit(Region region, record, const uint8_t[::1] args, list refs, ObjectID actor=None):
    """Submits a call whose arguments are already bytes.

    Args:
        record: (function index, queue, nreturns, max_retries, flags, index of the runtime environment's object).
        args: the pickled arguments.
        refs: ObjectIDs among them, in the order in which the pickle names them.
        actor: handle of the actor whose method it is; then the queue is not used.

    Returns:
        An ObjectID, a list of them, or None for no returns.

    Raises:
        ObjectStoreFullError: no room for the arguments; nothing of the call is left.
        PendingCallsLimitExceeded: the actor has as many pending calls as it may have.
    """
    cdef rl_spec spec
    check_region(region.R)
    memset(&spec, 0, sizeof(spec))
    spec.function, spec.queue, spec.nreturns, spec.max_retries, spec.flags, spec.runtime_env = record
    spec_of_actor(region.R, &spec, actor)
    return submit_packed(region.R, &spec, args, refs)


cdef uint32_t find_queue(rl_region* R, rl_shape* s, list pairs) except 0:
    """The queue of a shape, to which the custom resources in `pairs` are added: (number, amount)."""
    cdef uint32_t q = 0
    cdef Py_ssize_t d
    cdef uint32_t* numbers = <uint32_t*>malloc((len(pairs) + 1) * 16)
    cdef int64_t* amounts
    if numbers == NULL:
        raise MemoryError(f"no memory for {len(pairs):,} demands")
    amounts = <int64_t*>(numbers + (len(pairs) + 1) * 2)
    try:
        for d in range(len(pairs)):
            numbers[d], amounts[d] = pairs[d]
            numbers[d] += RL_CUSTOM
        s.n, s.resources, s.amounts = <uint32_t>len(pairs), numbers, amounts
        check(shape_queue(R, s, &q))
    finally:
        free(numbers)
    return q


def demand_queue(Region region, int64_t cpus, int64_t gpus=0, demands=(), uint32_t options=0) -> int:
    """Queue of the job's tasks that have the same demands and options.

    Args:
        cpus, gpus: in ten-thousandths; GPUs: a part of one, or whole ones.
        demands: (number, amount) of custom resources, which are numbered from 0 as in Region.create.
        options: index of the object with more options, or 0.
    """
    cdef rl_shape s
    check_region(region.R)
    s.job, s.options, s.members, s.cpus, s.gpus = region.R.job, options, RL_TASKS, cpus, gpus
    return find_queue(region.R, &s, sorted(demands))


def actor_queue(Region region, uint32_t members, demand) -> int:
    """Queue of the job's actors that wait for the same.

    Args:
        members: TURNS, for the CPUs of a call; or LIVES, for what an actor holds as long as its process lives.
        demand: (CPUs, GPUs, demands, options), as for `demand_queue`.

    Raises:
        ValueError: a turn that demands more than CPUs.
    """
    cdef rl_shape s
    check_region(region.R)
    s.members = members
    s.job = region.R.job
    s.cpus, s.gpus, demands, s.options = demand
    if members == RL_TURNS and (s.gpus or demands):
        raise ValueError("calls of an actor need CPUs only; it holds everything else for life")
    return find_queue(region.R, &s, sorted(demands))
