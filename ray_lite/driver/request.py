"""Request: what the arguments of `init` ask for.

Neighbours: api.py checks them and makes it; plan.py adds what is detected.
"""

from typing import NamedTuple

from ray_lite.config import SCRIPT_MODE, Config
from ray_lite.store.region_files import SMALL_PAGE, ArenaBacking


class Request(NamedTuple):
    """What the arguments of `init` ask for; checked by api.py. None: as detected."""

    redis_address: str | None = None  #: of the session to attach to; None: a private one
    redis_password: str | None = None  #: of that session; None: it is this user's, or has none
    num_cpus: float | None = None
    num_gpus: int | None = None
    resources: dict[str, float] = {}
    num_workers: int | None = None
    max_workers: int | None = None
    pin: bool = False
    preload: tuple[str, ...] = ()
    object_store_memory: int | None = None
    backing: ArenaBacking = ArenaBacking(None, SMALL_PAGE)
    spill_directory: str | None = None
    config: Config = Config()
    object_id_seed: int | None = None
    node_ip_address: str = "127.0.0.1"
    shutdown_grace: float = 5.0
    num_redis_shards: int = 0
    redis_max_clients: int | None = None
    driver_mode: int = SCRIPT_MODE
    redirect_worker_output: bool = False
    redirect_output: bool = True
    verbose: bool = False
