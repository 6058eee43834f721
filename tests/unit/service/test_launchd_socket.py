"""launch_activate_socket(3), through a stand-in for libSystem with its C types."""

from __future__ import annotations

import ctypes
import errno
import types

import pytest

from snowshed.errors import Bug
from snowshed.service.launchd_socket import activate

TAKE = ctypes.CFUNCTYPE(
    ctypes.c_int, ctypes.c_char_p, ctypes.POINTER(ctypes.POINTER(ctypes.c_int)), ctypes.POINTER(ctypes.c_size_t)
)
FREE = ctypes.CFUNCTYPE(None, ctypes.c_void_p)


class FakeSystem:
    """libSystem of a job with sockets: gives each name away once, in memory that has to be freed."""

    def __init__(self, sockets: dict[str, list[int]] | None) -> None:
        self._sockets = sockets
        self._taken: set[str] = set()
        self.arrays: dict[int, object] = {}
        self.freed: list[int] = []

    def library(self) -> types.SimpleNamespace:
        return types.SimpleNamespace(launch_activate_socket=TAKE(self._take), free=FREE(self._free))

    def _take(self, name: bytes, descriptors, count) -> int:  # type: ignore[no-untyped-def]
        if self._sockets is None:
            return errno.ESRCH
        key = name.decode()
        if key not in self._sockets:
            return errno.ENOENT
        if key in self._taken:
            return errno.EALREADY
        self._taken.add(key)
        array = (ctypes.c_int * len(self._sockets[key]))(*self._sockets[key])
        self.arrays[ctypes.addressof(array)] = array
        descriptors[0] = ctypes.cast(array, ctypes.POINTER(ctypes.c_int))
        count[0] = len(array)
        return 0

    def _free(self, address: int) -> None:
        self.freed.append(address)


def test_the_descriptors_of_a_name_come_over_and_the_array_is_freed_once() -> None:
    system = FakeSystem({"ssh": [5, 9], "other": [7]})
    assert activate("ssh", system.library()) == [5, 9]
    assert system.freed == list(system.arrays)
    assert len(system.freed) == 1


def test_one_descriptor() -> None:
    assert activate("ssh", FakeSystem({"ssh": [3]}).library()) == [3]


@pytest.mark.parametrize("sockets", [None, {}, {"other": [4]}], ids=["no job", "no sockets", "another name"])
def test_where_launchd_has_nothing_for_us_we_bind_ourselves(sockets: dict[str, list[int]] | None) -> None:
    system = FakeSystem(sockets)
    assert activate("ssh", system.library()) == []
    assert system.freed == [], "there was no array"


def test_asking_twice_is_our_own_mistake() -> None:
    library = FakeSystem({"ssh": [5]}).library()
    activate("ssh", library)
    with pytest.raises(Bug, match="socket ssh"):
        activate("ssh", library)
