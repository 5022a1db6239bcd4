"""store_server.py: what the servers of a control store are told."""

import os

from ray_lite.control.store_server import configuration, socket_name


def test_the_configuration_opens_no_port_and_writes_no_file():
    lines, others = configuration(0, None).splitlines(), configuration(2, 7).splitlines()
    assert {"port 0", "unixsocket redis.sock", "unixsocketperm 600", 'save ""', "appendonly no"} <= set(lines)
    assert "maxclients 8" in others and f"unixsocket {socket_name(2)}" in others
    assert not os.path.isabs(socket_name(0)) and socket_name(2) == "redis-2.sock"
