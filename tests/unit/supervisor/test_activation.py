from __future__ import annotations

import os
import socket

import pytest

from snowshed.errors import UserError
from snowshed.supervisor.activation import bind, port_owner, systemd_sockets


def test_descriptors_by_name() -> None:
    environment = {"LISTEN_PID": "7", "LISTEN_FDS": "3", "LISTEN_FDNAMES": "ssh:other:ssh", "HOME": "/"}
    assert systemd_sockets(environment, 7) == {"ssh": [3, 5], "other": [4]}
    assert environment == {"HOME": "/"}


def test_descriptors_without_names_are_unknown() -> None:
    assert systemd_sockets({"LISTEN_PID": "7", "LISTEN_FDS": "2"}, 7) == {"unknown": [3, 4]}


@pytest.mark.parametrize(
    "environment",
    [{}, {"LISTEN_PID": "8", "LISTEN_FDS": "1"}, {"LISTEN_PID": "7", "LISTEN_FDS": "x"}, {"LISTEN_FDS": "1"}],
)
def test_what_is_not_for_us_is_left_alone(environment: dict[str, str]) -> None:
    assert systemd_sockets(environment, 7) == {}


def test_a_port_in_use_is_refused_with_its_owner() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(UserError, match=f"Port {port}.*process {os.getpid()}") as caught:
            bind(port)
    assert "--port" in caught.value.hint
    assert port_owner(port) == ""


def test_we_listen_on_the_loopback_only() -> None:
    with bind(0) as listener:
        assert listener.getsockname()[0] == "127.0.0.1"
        assert not listener.get_inheritable()
