"""Beginning a private session beside its node, which was just started: files, region and backend; then the node is greeted.

Neighbours: launch.py calls, and undoes every step if one fails; plan.py says what to make; driver.py is what results.
"""

from __future__ import annotations

import contextlib
import errno
import os
import socket
import sys
from typing import Any

from ray_lite import _core
from ray_lite.calls.runtime_env import observed
from ray_lite.config import SCRIPT_MODE
from ray_lite.control.store_binaries import NO_BINARIES
from ray_lite.control.store_server import SOCKET
from ray_lite.driver.driver import Belongings, Driver
from ray_lite.driver.node_start import NodeStart
from ray_lite.driver.plan import SessionPlan
from ray_lite.session_setting import Attachment, SessionInfo, SessionSetting
from ray_lite.store.region_files import Files, Sizes, make_files
from ray_lite.system.process import started_at

Node = tuple[int, socket.socket]  # its pid, and the driver's end of the socketpair


def begin(plan: SessionPlan, node: Node, directory: str, undo: contextlib.ExitStack) -> Driver:
    """Makes files, region and backend, and greets the node.

    Args:
        node: as spawn_node started it.
        directory: the session's, which the node makes.
        undo: gets what undoes each step.
    """
    request = plan.request
    files, region = make_region(plan, undo)
    region.join(_core.DRIVER, os.getpid(), started_at(os.getpid()))
    info = SessionInfo(request.config, plan.resources, session_id_of(plan), files.spill, directory,
                       request.node_ip_address, request.redirect_worker_output)
    address = address_of(plan, directory, os.path.join(directory, SOCKET) if plan.store.binaries else None)
    driver = enter(plan, region, info, Belongings(*node, files, request.shutdown_grace, address), undo)
    if not plan.store.binaries and request.driver_mode == SCRIPT_MODE:
        print(f"ray_lite: there is no control store: {NO_BINARIES}", file=sys.stderr)
    if request.verbose:
        print(f"ray_lite: {plan.summary}, session {directory}", file=sys.stderr)
    return driver


def enter(plan: SessionPlan, region: _core.Region, info: SessionInfo, belongings: Belongings, undo: contextlib.ExitStack,
          attachment: Attachment | None = None) -> Driver:
    """Makes the driver of a region in which this process has its slot, and greets its node.

    Args:
        attachment: what the node must know of a session to which this driver has attached. The session is there, so nobody
            waits for this driver's node, unless it preloads: the first tasks do.
    """
    region.make_current()
    driver = Driver(region, info, belongings)
    driver.mode = plan.request.driver_mode
    undo.callback(os.close, driver.node_pidfd)
    _core.set_root(_root_id(plan.request.object_id_seed))
    driver.runtime_env.begin()
    driver.call_sites.begin()
    undo.callback(driver.call_sites.end)
    driver.serializers.begin()
    undo.callback(driver.serializers.end)
    setting = setting_of(plan, info, driver.address["redis_address"])._replace(attachment=attachment)
    start = NodeStart((driver.node_pid, driver.link), setting, driver.files)
    if attachment is None or plan.request.preload:
        start.wait()
    else:
        driver.start = start
    return driver


def address_of(plan: SessionPlan, directory: str, redis_address: str | None) -> dict[str, Any]:
    """What `init` returns, but for the node's pid."""
    return {
        "node_ip_address": plan.request.node_ip_address, "object_store_address": None, "webui_url": None,
        "redis_address": redis_address, "session_dir": directory,
    }


def session_id_of(plan: SessionPlan) -> int:
    """The id of the session that is planned."""
    assert plan.sizes is not None, "the plan of a new session has sizes"
    return plan.sizes.session_id


def make_region(plan: SessionPlan, undo: contextlib.ExitStack) -> tuple[Files, _core.Region]:
    """Makes the files and the region of a new session."""
    assert plan.sizes is not None, "the plan of a new session has sizes"
    files = make_files(plan.sizes, plan.request.backing.directory, plan.request.spill_directory)
    undo.callback(files.close)
    region = _region(plan, plan.sizes, files)
    undo.callback(region.close)
    return files, region


def _region(plan: SessionPlan, sizes: Sizes, files: Files) -> _core.Region:
    try:
        return _core.Region.create(files.control, files.arena, files.bell, sizes)
    except OSError as error:
        backing = plan.request.backing
        if backing.huge and error.errno == errno.ENOMEM:  # another process took huge pages meanwhile
            raise backing.too_few(sizes.arena_bytes) from error
        raise


def _root_id(seed: int | None) -> bytes:
    return os.urandom(20) if seed is None else _core.digest_id(f"seed\0{seed}".encode())


def setting_of(plan: SessionPlan, info: SessionInfo, redis_address: str | None) -> SessionSetting:
    """The setting that the node gets."""
    request = plan.request
    return SessionSetting(
        info=info, worker_limit=plan.worker_limit, process_limit=plan.process_limit, driver_pid=os.getpid(),
        umask=_core.get_umask(), argv=list(sys.argv), path=observed().path,
        store=plan.store, redis_address=redis_address,
        num_workers=request.num_workers or 0, shutdown_grace=request.shutdown_grace, driver_mode=request.driver_mode,
        redirect_worker_output=request.redirect_worker_output, redirect_output=request.redirect_output, pin=request.pin,
        preload=request.preload, object_id_seed=request.object_id_seed,
    )
