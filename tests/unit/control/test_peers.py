"""Who may command a supervisor of the system."""

from __future__ import annotations

import os
import socket

import pytest

from snowshed.control.peers import groups_of, may_command, require_right, user_of
from snowshed.errors import UserError


def test_the_kernel_tells_who_is_there() -> None:
    one, other = socket.socketpair(socket.AF_UNIX)
    with one, other:
        assert user_of(one) == os.getuid()
        require_right(one)


@pytest.mark.parametrize(
    ("user", "groups", "may"),
    [
        (0, (), True),
        (990, (), True),
        (1000, (), False),
        (1000, ("users", "kvm"), False),
        (1000, ("users", "sudo"), True),
        (1000, ("wheel",), True),
        (501, ("staff", "admin"), True),
        (None, (), False),
    ],
)
def test_rights(user: int | None, groups: tuple[str, ...], may: bool) -> None:
    assert may_command(user, 990, frozenset(groups)) is may


def test_somebody_without_rights_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("snowshed.control.peers.user_of", lambda _: 4242)
    with socket.socket(socket.AF_UNIX) as any_, pytest.raises(UserError, match="only root and administrators"):
        require_right(any_)


def test_groups_of_nobody_in_particular() -> None:
    assert groups_of(None) == frozenset()
    assert groups_of(4_000_000) == frozenset()
    assert "root" in groups_of(0) or "wheel" in groups_of(0)
