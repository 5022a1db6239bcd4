"""StorePublisher: copies what people look at into the control store, so that any Redis client can read it.

The session's own memory is the truth; each server has a copy, which is made anew whenever it comes back; the docs list its
keys.  Neighbours: process.py owns the publisher; node/answers.py has the tables; store_server.py names the sockets.  Must not
be waited for: it has a thread of its own, and what it can't publish yet it publishes later, or not at all.
"""

from __future__ import annotations

import contextlib
import os
import threading
import time
from collections.abc import Callable
from typing import Any, Protocol

from ray_lite.control.error_table import DRIVER, ErrorSource
from ray_lite.control.store_server import socket_name
from ray_lite.session_setting import SessionSetting

Tables = dict[str, dict[str, str]]  # by key: fields and their values, all texts
SHARDED = ("functions",)  # tables whose fields are spread over the shards, by their first hexadecimal digits
ERRORS, CHANNEL = "errors", "errors"  #: the list of all entries; the channel on which new ones are published
GENERATION = "generation"  #: how often a server's copy was made anew; on each server
DRIVERS_MOST = 64  # drivers, the last ones that had errors, whose errors have a list of their own
BATCH = 0.1  # seconds after which the next errors are published: very many come in few batches, of the newest ones
RETRY = 0.05  # seconds before the first new try of a server that was away; doubles, up to Config.store_refresh
NICE = 10  # the thread's share of the CPU: tasks come first


class Table(ErrorSource, Protocol):
    """The table of errors, as the publisher needs it."""

    def add_error(self, kind: str, text: str) -> None:
        """Adds an entry."""


class Copy:
    """What one server has.

    Args:
        path: of its socket.
        timeout: seconds that it may take to answer.
        password: that it wants; None: none.
    """

    def __init__(self, path: str, timeout: float, password: str | None) -> None:
        self.path, self.timeout, self.password = path, timeout, password
        self.generation = 0  #: of the copy; a server that was started again has forgotten it
        self._client: Any = None
        self._tables: Tables = {}

    def client(self) -> Any:
        """A client of the server, whose copy is empty if it is a new one.

        Raises:
            redis.RedisError, OSError: the server is away.
        """
        if self._client is not None and _generation(self._client) == self.generation:
            return self._client
        import redis
        from redis.backoff import NoBackoff
        from redis.retry import Retry

        client = redis.Redis(unix_socket_path=self.path, socket_timeout=self.timeout, retry=Retry(NoBackoff(), 0),
                             password=self.password)
        before = _generation(client)
        self._tables, self._client = {}, client
        self.generation = 1 + max(self.generation, before)
        return client

    def update(self, tables: Tables, rest: Callable[[Any, bool], None]) -> None:
        """Makes the copy the same as these tables. `rest(pipe, is_new)` adds further commands; all of them take effect at
        once."""
        client = self.client()
        is_new = not self._tables
        pipe = client.pipeline(transaction=True)
        if is_new:
            pipe.delete(*tables)
        for key, fields in tables.items():
            before = self._tables.get(key, {})
            for field, value in fields.items():
                if before.get(field) != value:
                    pipe.hset(key, field, value)
            for field in before.keys() - fields.keys():
                pipe.hdel(key, field)
        rest(pipe, is_new)
        pipe.set(GENERATION, self.generation)
        pipe.execute()
        self._tables = tables

    def forget(self) -> None:
        """Forgets a client that could not reach the server."""
        self._client = None


class StorePublisher:
    """Publishes for one session.

    Args:
        setting: the session's; it names the directory, the driver, and how many servers there are.
        tables: returns the tables as they are now.
        table: the table of errors.
    """

    def __init__(self, setting: SessionSetting, tables: Callable[[], Tables], table: Table) -> None:
        self.directory, self.shards, self.config = setting.session_dir, setting.store.shards, setting.config
        self.max_clients = setting.store.max_clients
        self._password = setting.sharing.password if setting.sharing and setting.sharing.ports else None
        self.tables, self.table = tables, table
        self._copies: list[Copy] = []
        self._changed = threading.Event()
        self._delay = 0.0 if setting.sharing else self.config.store_delay  # as node/store_servers.py starts the servers
        self._driver_pid = setting.driver_pid
        self._lists: dict[str, None] = {ERRORS: None}  # keys of lists, in the order in which they began
        self._added = self._announced = table.errors_since(0)[0]  # errors that the lists have; that the channel has had

    def start(self) -> None:
        """Begins to publish, until the process ends."""
        threading.Thread(target=self._run, daemon=True, name="store").start()

    def wake(self) -> None:
        """Says that there are new errors."""
        self._changed.set()

    def _run(self) -> None:
        with contextlib.suppress(OSError):
            os.setpriority(os.PRIO_PROCESS, threading.get_native_id(), NICE)
        pause, again = self._delay, RETRY
        while True:
            self._changed.wait(pause)
            self._changed.clear()
            if self._publish():
                pause, again = self.config.store_refresh, RETRY
                time.sleep(BATCH)
            else:
                time.sleep(again)
                pause, again = 0.0, min(2 * again, self.config.store_refresh)

    def _publish(self) -> bool:
        """Publishes what has changed to each server that can be reached; whether all can be."""
        from redis import RedisError  # its import takes 0.1 s

        tables, missed = self.tables(), 0
        if not self._copies:
            place = os.open(self.directory, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)  # short enough for an address
            self._copies = [Copy(f"/proc/self/fd/{place}/{socket_name(number)}", self.config.answer_timeout, self._password)
                            for number in range(self.shards + 1)]
        for number, copy in enumerate(self._copies):
            try:
                copy.update(self._part(tables, number), self._errors if number == 0 else _nothing)
                if number == 0:
                    self._check_clients(copy.client())
            except (RedisError, OSError):  # it is away, or starts: all is published again once it is back
                copy.forget()
                missed += 1
        return missed == 0

    def _part(self, tables: Tables, number: int) -> Tables:
        """What a server has of the tables."""
        part = {}
        for key, fields in tables.items():
            if key in SHARDED and self.shards:
                part[key] = {field: value for field, value in fields.items() if 1 + int(field[:8], 16) % self.shards == number}
            elif number == 0:
                part[key] = fields
        return part

    def _errors(self, pipe: Any, is_new: bool) -> None:
        """Adds the commands for new errors, and for a new copy all that does not change."""
        import json  # in the control process alone

        if is_new:
            others = self._copies[0].client().keys(f"{ERRORS}:*")  # of a control process before this one, too
            pipe.delete("RedisShards", ERRORS, *others)
            for number in range(1, self.shards + 1):
                pipe.rpush("RedisShards", os.path.join(self.directory, socket_name(number)))
            pipe.set("NumRedisShards", self.shards)
        added, entries = self.table.errors_since(0 if is_new else self._added)
        for number, entry in enumerate(entries, added - len(entries)):
            text = json.dumps(entry._asdict())
            for key in (ERRORS, f"{ERRORS}:{entry.data.get(DRIVER, self._driver_pid)}"):
                self._lists[key] = None
                pipe.rpush(key, text)
            if number >= self._announced:
                pipe.publish(CHANNEL, text)
        for key in self._lists if entries else ():
            pipe.ltrim(key, -self.config.errors, -1)
        for key in list(self._lists)[1:-DRIVERS_MOST]:
            pipe.delete(key)
            del self._lists[key]
        self._added = self._announced = added

    def _check_clients(self, primary: Any) -> None:
        """Says once that a server takes fewer clients than `init` was asked for, since it may open too few files."""
        if self.max_clients is None:
            return
        allowed = int(primary.config_get("maxclients")["maxclients"]) - 1
        if allowed < self.max_clients:
            self.table.add_error("control_store", f"the control store takes {allowed:,} clients at a time, not the "
                                                  f"{self.max_clients:,} of redis_max_clients: RLIMIT_NOFILE allows no more")
        self.max_clients = None


def _generation(client: Any) -> int:
    """How often the copy of a server was made anew; 0 as well if somebody has written something else there."""
    try:
        return int(client.get(GENERATION) or 0)
    except ValueError:
        return 0


def _nothing(pipe: Any, is_new: bool) -> None:
    """Adds no command."""
