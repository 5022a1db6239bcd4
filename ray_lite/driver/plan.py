"""SessionPlan: what a session will have, computed once from `init`'s arguments, the environment and the machine.

Neighbours: request.py is what the arguments ask for; begin.py acts on the plan.  Must not start, map or reserve anything.
"""

from typing import NamedTuple

from ray_lite.config import Config
from ray_lite.control.store_binaries import find_binaries
from ray_lite.driver.request import Request
from ray_lite.node.attach_link import Welcome
from ray_lite.options import GPUS_MOST
from ray_lite.policy.resources import Resources
from ray_lite.session_setting import StoreSetting
from ray_lite.store.region_files import Sizes, plan_sizes
from ray_lite.system import machine
from ray_lite.system.machine import Limit


class Sources(NamedTuple):
    """By what the amounts of a session were decided."""

    cpus: str
    gpus: str
    store: str


class SessionPlan(NamedTuple):
    """What a session will have."""

    request: Request
    resources: Resources
    worker_limit: Limit
    process_limit: Limit  #: of workers and actors together
    sizes: Sizes | None  #: of the region; None: it is there already
    store: StoreSetting
    summary: str  #: what was detected, and from which source, for `init(verbose=True)`
    sources: Sources | None = None  #: None: the session is there already


def make_plan(request: Request) -> SessionPlan:
    """Detects what the request leaves open.

    Raises:
        ValueError: more GPUs are claimed than are visible, or more are visible than a session can have.
        OSError: there are too few huge pages for the object store.
    """
    cpus = _cpus(request)
    gpus = machine.gpus(request.num_gpus)
    if len(gpus.ids) > GPUS_MOST:
        raise ValueError(f"{gpus.source} shows {len(gpus.ids)} GPUs, but a session has at most {GPUS_MOST}; give num_gpus=")
    resources = Resources(cpus[0], gpus.ids, gpus.variable, request.resources)
    worker_limit = machine.workers(request.config, request.max_workers)
    memory = _store_memory(request)
    sizes = plan_sizes(request.config, request.backing, memory.value, resources, request.spill_directory is not None)
    request.backing.check_enough(sizes.arena_bytes)
    rounded = _rounded(request.object_store_memory, sizes.arena_bytes, request.config.store_least)
    summary = (f"{cpus[0]:g} CPUs ({cpus[1]}), {len(gpus.ids)} GPUs ({gpus.source}), at most {worker_limit.value:,} workers "
               f"({worker_limit.source}), {sizes.arena_bytes:,} bytes of object store ({memory.source}{rounded}) on pages of "
               f"{sizes.page_bytes:,}")
    store = StoreSetting(find_binaries(), request.num_redis_shards, request.redis_max_clients)
    return SessionPlan(request, resources, worker_limit, machine.processes(request.config), sizes, store, summary,
                       Sources(cpus[1], gpus.source, memory.source + rounded))


def attached_plan(request: Request, welcome: Welcome) -> SessionPlan:
    """What a driver has that attaches to a session."""
    cpus, gpu_ids, gpu_variable, custom = welcome.resources
    num_workers, pin, preload = welcome.defaults
    request = request._replace(config=Config(**welcome.config), num_workers=num_workers, pin=pin,
                               preload=request.preload or tuple(preload))
    return SessionPlan(request, Resources(cpus, tuple(gpu_ids), gpu_variable, custom),
                       machine.workers(request.config, request.max_workers), machine.processes(request.config), None,
                       StoreSetting(), "")


def _rounded(asked: int | None, given: int, least: int) -> str:
    """What is said of a store that is larger than what the user asked for."""
    if asked is None or given == asked:
        return ""
    return f": {asked:,}, rounded up to {'the least that works' if asked < least else 'whole pages'}"


def _cpus(request: Request) -> tuple[float, str]:
    """CPUs of the session, and the source of that number."""
    if request.num_cpus is not None:
        return request.num_cpus, "num_cpus"
    if request.config.num_cpus is not None:
        return request.config.num_cpus, "RAY_LITE_NUM_CPUS"
    return machine.cpus()


def _store_memory(request: Request) -> Limit:
    """Bytes of the object store, and their source; by default no more than the free huge pages, if any are free."""
    if request.object_store_memory is not None:
        return Limit(request.object_store_memory, "object_store_memory")
    memory, fraction = machine.memory(), request.config.store_fraction
    part = Limit(int(memory.value * fraction), f"{fraction * 100:g} % of {memory.value:,}: {memory.source}")
    free = request.backing.free() * request.backing.page if request.backing.huge else 0
    return Limit(free, "the free huge pages") if 0 < free < part.value else part
