"""The arguments of `init`: checked before anything changes, and made a Request.

Neighbours: api.py calls; options.py checks single values; driver/ acts on the Request.
"""

from __future__ import annotations

from typing import Any

from ray_lite.config import PYTHON_MODE, SCRIPT_MODE, SILENT_MODE, Config
from ray_lite.driver.request import Request
from ray_lite.options import amount, custom_resources, duration, package_names, session_gpus, size, whole
from ray_lite.store.region_files import arena_backing, spill_path

SHARDS_MOST, CLIENTS_MOST = 31, 1_000_000  # servers besides the primary; connections to each

# Arguments that describe a session, and so may not be given where one is attached to.
_OF_THE_SESSION = ("num_workers", "num_cpus", "num_gpus", "resources", "num_custom_resource", "num_redis_shards",
                   "redis_max_clients", "object_store_memory", "plasma_directory", "huge_pages", "spill_directory", "pin")


def _check_address(given: dict[str, Any]) -> None:
    """Checks the arguments of a driver that attaches to a running session."""
    address = given["redis_address"]
    if given["driver_mode"] == PYTHON_MODE:
        return
    if address is None and given["redis_password"] is not None:
        raise ValueError("redis_password goes with redis_address: a private session has no password")
    if address is None:
        return
    wrong = [name for name in _OF_THE_SESSION if given[name] is not None and given[name] is not False]
    if wrong:
        raise ValueError(f"{', '.join(wrong)} can't be given with redis_address: the running session has its own")


def _check_kinds(given: dict[str, Any]) -> None:
    """Checks the mode, what is True or False, and what is a string."""
    mode = given["driver_mode"]
    if mode not in (SCRIPT_MODE, SILENT_MODE, PYTHON_MODE) or isinstance(mode, bool):
        raise ValueError(f"driver_mode must be SCRIPT_MODE, SILENT_MODE or PYTHON_MODE, got {mode!r}")
    for name in ("redirect_worker_output", "redirect_output", "include_webui", "huge_pages", "verbose", "pin"):
        if not isinstance(given[name], bool):
            raise TypeError(f"{name} must be True or False, got {given[name]!r}")
    for name in ("node_ip_address", "redis_address", "redis_password"):
        if given[name] is not None and not isinstance(given[name], str):
            shown = type(given[name]).__name__ if name == "redis_password" else repr(given[name])
            raise TypeError(f"{name} must be a string, got {shown}")
    if given["use_raylet"]:
        raise NotImplementedError("use_raylet=True is not supported yet")


def request_of(given: dict[str, Any]) -> Request:
    """What the arguments of `init` ask for.

    Args:
        given: all of them, by name.

    Raises:
        TypeError, ValueError: one is wrong, or does not go with another.  NotImplementedError: there is no such feature yet.
    """
    _check_kinds(given)
    _check_address(given)
    directory, seed, memory = given["plasma_directory"], given["object_id_seed"], given["object_store_memory"]
    workers, most, cpus = given["num_workers"], given["max_workers"], given["num_cpus"]
    workers = None if workers is None else whole("num_workers", workers, 0, 10_000)
    most = None if most is None else whole("max_workers", most, 1, 100_000)
    config = Config.from_environment()
    if config.num_cpus is not None:
        amount("RAY_LITE_NUM_CPUS", config.num_cpus)
    if workers is not None and most is not None and workers > most:
        raise ValueError(f"num_workers={workers} is more than max_workers={most}")
    return Request(
        redis_address=given["redis_address"],
        redis_password=given["redis_password"],
        num_cpus=None if cpus is None else amount("num_cpus", cpus),
        num_gpus=None if given["num_gpus"] is None else session_gpus("num_gpus", given["num_gpus"]),
        resources=_resources(given),
        max_workers=most,
        pin=given["pin"],
        preload=package_names("preload", given["preload"]),
        num_workers=workers,
        object_store_memory=None if memory is None else size("object_store_memory", memory),
        backing=arena_backing(directory, given["huge_pages"], config),
        spill_directory=spill_path(given["spill_directory"]),
        object_id_seed=None if seed is None else whole("object_id_seed", seed),
        node_ip_address=given["node_ip_address"] or "127.0.0.1",
        shutdown_grace=duration("shutdown_grace", given["shutdown_grace"]),
        config=config,
        **_store(given),
        driver_mode=given["driver_mode"],
        redirect_worker_output=given["redirect_worker_output"],
        redirect_output=given["redirect_output"],
        verbose=given["verbose"],
    )


def _store(given: dict[str, Any]) -> dict[str, Any]:
    """What the arguments say of the control store."""
    shards, clients = given["num_redis_shards"], given["redis_max_clients"]
    return {"num_redis_shards": 0 if shards is None else whole("num_redis_shards", shards, 0, SHARDS_MOST),
            "redis_max_clients": None if clients is None else whole("redis_max_clients", clients, 1, CLIENTS_MOST)}


def _resources(given: dict[str, Any]) -> dict[str, float]:
    """Checked custom resources of the session, sorted by name."""
    found = custom_resources("resources", given["resources"])
    count = given["num_custom_resource"]
    if count is not None and whole("num_custom_resource", count, 0, 1 << 31) != len(found) and given["resources"] is not None:
        raise ValueError(f"num_custom_resource={count}, but resources has {len(found)} names")
    return dict(sorted(found.items()))
