"""Downloads from a server on the loopback."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from pathlib import Path

import pytest
from fakes.file_server import FileServer, serving

from snowshed.errors import UserError
from snowshed.images import download
from snowshed.images.progress import silent

CONTENT = bytes(range(256)) * 4000
SHA256 = hashlib.sha256(CONTENT).hexdigest()


@pytest.fixture
def server() -> Iterator[FileServer]:
    with serving(CONTENT) as server:
        yield server


def get(server: FileServer, folder: Path, sha256: str = SHA256) -> Path:
    return download.get(server.url, sha256, folder, silent)


def partial(folder: Path, content: bytes) -> Path:
    file = folder / f"{SHA256}.partial"
    file.write_bytes(content)
    return file


def test_a_file_and_how_far_it_is(server: FileServer, tmp_path: Path) -> None:
    told: list[float | None] = []

    def report(stage: str, share: float | None = None) -> None:
        if stage == download.STAGE:
            told.append(share)

    file = download.get(server.url, SHA256, tmp_path, report)
    assert file.read_bytes() == CONTENT
    assert (told[0], told[-1]) == (0.0, 1.0)
    assert list(tmp_path.iterdir()) == [file]


def test_what_had_arrived_is_not_fetched_again(server: FileServer, tmp_path: Path) -> None:
    partial(tmp_path, CONTENT[:1000])
    assert get(server, tmp_path).read_bytes() == CONTENT
    assert server.asked == ["bytes=1000-"]


def test_a_connection_that_breaks_is_made_anew(server: FileServer, tmp_path: Path) -> None:
    server.breaks_after = [300_000, 300_000]
    assert get(server, tmp_path).read_bytes() == CONTENT
    assert server.asked == ["", "bytes=300000-", "bytes=600000-"]


def test_one_that_brings_nothing_is_not_tried_for_ever(server: FileServer, tmp_path: Path) -> None:
    server.breaks_after = [300_000, 0]
    with pytest.raises(UserError, match=r"cannot be fetched: .* 293 KiB have arrived") as caught:
        get(server, tmp_path)
    assert "the next try goes on from there" in caught.value.hint
    assert get(server, tmp_path).read_bytes() == CONTENT
    assert server.asked[-1] == "bytes=300000-"


def test_a_server_without_ranges_sends_it_all_again(server: FileServer, tmp_path: Path) -> None:
    server.ranges = False
    partial(tmp_path, b"x" * 1000)
    assert get(server, tmp_path).read_bytes() == CONTENT


@pytest.mark.parametrize("content", [CONTENT, CONTENT + b"more"], ids=["whole", "too long"])
def test_all_of_it_was_there_already(server: FileServer, tmp_path: Path, content: bytes) -> None:
    partial(tmp_path, content)
    assert get(server, tmp_path).read_bytes() == CONTENT


def test_another_content_is_not_kept(server: FileServer, tmp_path: Path) -> None:
    with pytest.raises(UserError, match=f"its SHA-256 is {SHA256} instead of {'0' * 64}"):
        get(server, tmp_path, "0" * 64)
    assert list(tmp_path.iterdir()) == []


def test_an_address_with_nothing_there(server: FileServer, tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"There is nothing at .*/none \(the server says 404\)"):
        download.get(server.url.replace("/image.tar", "/none"), SHA256, tmp_path, silent)


def test_no_server_at_all(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="cannot be fetched: Connection refused") as caught:
        download.get("http://127.0.0.1:9/image", SHA256, tmp_path, silent)
    assert "Check the network" in caught.value.hint


def test_a_file_of_this_machine(tmp_path: Path) -> None:
    source = tmp_path / "source"
    source.write_bytes(CONTENT)
    assert download.get(source.as_uri(), SHA256, tmp_path / "to", silent).read_bytes() == CONTENT
    with pytest.raises(UserError, match="No such file"):
        download.get((tmp_path / "none").as_uri(), SHA256, tmp_path / "to", silent)
