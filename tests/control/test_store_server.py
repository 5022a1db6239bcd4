"""store_server.py: what the servers of a control store are told."""

import os

from ray_lite.control.store_server import configuration, socket_name
from ray_lite.session_setting import Secret, Sharing, StoreSetting


def test_the_configuration_opens_no_port_and_writes_no_file():
    lines, others = (configuration(number, StoreSetting(max_clients=most), None).splitlines()
                     for number, most in ((0, None), (2, 7)))
    assert {"port 0", "unixsocket redis.sock", "unixsocketperm 600", 'save ""', "appendonly no"} <= set(lines)
    assert "maxclients 8" in others and f"unixsocket {socket_name(2)}" in others
    assert not os.path.isabs(socket_name(0)) and socket_name(2) == "redis-2.sock"


def test_a_port_wants_the_password():
    sharing = Sharing("127.0.0.1:7000", (7000,), "127.0.0.1", Secret("abc"))
    first, second = (configuration(number, StoreSetting(shards=1), sharing).splitlines() for number in (0, 1))
    assert {"port 7000", "bind 127.0.0.1", 'requirepass "abc"'} <= set(first)
    assert "port 0" in second and not any("requirepass" in line for line in second), "it has no port"
    assert "abc" not in repr(sharing)
