"""Free ports, and who has the others."""

from __future__ import annotations

import os
import socket
import sys

import pytest

from snowshed.network.ports import is_free, port_owner


def test_a_port_that_somebody_listens_on_is_not_free() -> None:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen()
        port = listener.getsockname()[1]
        assert not is_free(port)
        if sys.platform == "linux":
            assert f"(process {os.getpid()})" in port_owner(port)
    assert is_free(port)
    assert port_owner(port) == ""


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux lets a port be taken again while it lingers")
def test_a_port_whose_last_connection_lingers_is_free() -> None:
    with socket.socket() as listener:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind(("127.0.0.1", 0))
        listener.listen()
        port = listener.getsockname()[1]
        client = socket.create_connection(("127.0.0.1", port))
        accepted, _ = listener.accept()
        accepted.close()
        client.close()
    assert is_free(port)
