"""What tests do as a client of a builder: connect as ssh would, and ask how it is."""

from __future__ import annotations

import json
import socket
from typing import Any

from command import PATIENCE, Place

BANNER = b"SSH-2.0-"
CLIENT = b"SSH-2.0-test\r\n"


def connect(port: int) -> socket.socket:
    """A connection to a builder's port, with what ssh says first already said."""
    client = socket.create_connection(("127.0.0.1", port), timeout=PATIENCE)
    client.sendall(CLIENT)
    return client


def greeted(client: socket.socket) -> bool:
    """Whether the guest's SSH answers on this connection."""
    return client.recv(64).startswith(BANNER)


def hung_up(client: socket.socket) -> bool:
    """Whether the builder closes this connection without a word from the guest."""
    with client:
        try:
            return client.recv(64) == b""
        except ConnectionResetError:
            return True


def status_of(place: Place, field: str = "state") -> Any:
    """A field of ``status --json`` of the default builder."""
    return json.loads(place.run("status", "--json").out)[field]
