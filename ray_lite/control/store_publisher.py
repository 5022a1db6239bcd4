"""StorePublisher: copies what people look at into the control store, so that any Redis client can read it.

The session's own memory is the truth; the store is a copy, which is made anew whenever a server comes back; the docs list its
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

from ray_lite.control.error_table import Entry
from ray_lite.control.store_server import socket_name
from ray_lite.session_setting import SessionSetting

Tables = dict[str, dict[str, str]]  # by key: fields and their values, all texts
SHARDED = ("functions",)  # tables whose fields are spread over the shards, by their first hexadecimal digits
ERRORS, CHANNEL = "errors", "errors"  #: the list of all entries; the channel on which new ones are published
GENERATION = "generation"  #: how often all was published anew; on each server
BATCH = 0.1  # seconds after which the next errors are published: very many come in few batches, of the newest ones
NICE = 10  # the thread's share of the CPU: tasks come first


class Table(Protocol):
    """The table of errors, as the publisher needs it."""

    def errors_since(self, number: int) -> tuple[int, list[Entry]]:
        """(number of entries so far, those that were added after the first `number` ones)."""

    def add_error(self, kind: str, text: str) -> None:
        """Adds an entry."""


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
        self.tables, self.table = tables, table
        self._place = -1  # the directory
        self._changed = threading.Event()
        self._lists = ERRORS, f"{ERRORS}:{setting.driver_pid}"
        self._clients: list[Any] = []
        self._published: Tables = {}
        self._errors_published = 0
        self._generation = 0  # how often all was published anew; a server that was started again has forgotten it

    def start(self) -> None:
        """Begins to publish, until the process ends."""
        threading.Thread(target=self._run, daemon=True, name="store").start()

    def wake(self) -> None:
        """Says that there are new errors."""
        self._changed.set()

    def _run(self) -> None:
        with contextlib.suppress(OSError):
            os.setpriority(os.PRIO_PROCESS, threading.get_native_id(), NICE)
        pause = self.config.store_delay
        while True:
            self._changed.wait(pause)
            self._changed.clear()
            pause = self.config.store_refresh
            try:
                if not self._clients:
                    self._connect()
                self._publish()
                time.sleep(BATCH)
            except Exception:  # a server is away, or starts: all is published again once it is back
                self._clients = []

    def _connect(self) -> None:
        """Connects to all servers, and publishes anew."""
        import redis  # its import takes 0.1 s
        from redis.backoff import NoBackoff
        from redis.retry import Retry

        if self._place < 0:
            self._place = os.open(self.directory, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        clients = []
        for number in range(self.shards + 1):
            path = f"/proc/self/fd/{self._place}/{socket_name(number)}"  # short enough for an address
            client = redis.Redis(unix_socket_path=path, socket_timeout=self.config.answer_timeout, retry=Retry(NoBackoff(), 0))
            client.ping()
            clients.append(client)
        primary = clients[0]
        self._check_clients(primary)
        primary.delete("RedisShards", *self._lists)
        for client in clients:
            client.delete(*SHARDED)
        primary.delete(*self.tables())
        for number in range(1, self.shards + 1):
            primary.rpush("RedisShards", os.path.join(self.directory, socket_name(number)))
        primary.set("NumRedisShards", self.shards)
        self._generation = 1 + max(self._generation, int(primary.get(GENERATION) or 0))
        for client in clients:
            client.set(GENERATION, self._generation)
        self._published, self._errors_published, self._clients = {}, 0, clients

    def _check_clients(self, primary: Any) -> None:
        """Says once that a server takes fewer clients than `init` was asked for, since it may open too few files."""
        allowed = int(primary.config_get("maxclients")["maxclients"])
        if self.max_clients is not None and allowed < self.max_clients:
            self.table.add_error("control_store", f"the control store takes {allowed:,} clients at a time, not the "
                                                  f"{self.max_clients:,} of redis_max_clients: RLIMIT_NOFILE allows no more")
            self.max_clients = None

    def _publish(self) -> None:
        """Publishes what has changed."""
        import json  # in the control process alone

        tables = self.tables()
        pipes = [client.pipeline(transaction=False) for client in self._clients]
        for pipe in pipes:
            pipe.get(GENERATION)
        for key, fields in tables.items():
            before = self._published.get(key, {})
            for field, value in fields.items():
                if before.get(field) != value:
                    pipes[self._shard(key, field)].hset(key, field, value)
            for field in before.keys() - fields.keys():
                pipes[self._shard(key, field)].hdel(key, field)
        added, entries = self.table.errors_since(self._errors_published)
        for entry in entries:
            text = json.dumps(entry._asdict())
            for key in self._lists:
                pipes[0].rpush(key, text)
            pipes[0].publish(CHANNEL, text)
        for key in self._lists if entries else ():
            pipes[0].ltrim(key, -self.config.errors, -1)
        if any(int(pipe.execute()[0] or 0) != self._generation for pipe in pipes):
            raise LookupError("a server was started again: it has nothing")  # the client has connected to it in silence
        self._published, self._errors_published = tables, added

    def _shard(self, key: str, field: str) -> int:
        """The number of the server that has a field."""
        return 1 + int(field[:8], 16) % self.shards if key in SHARDED and self.shards else 0
