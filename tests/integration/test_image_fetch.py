"""Fetching an image through the real command."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from fakes.file_server import serving

from command import Place, interrupt, with_patience
from snowshed.config import Host
from snowshed.images import released


@pytest.fixture
def place() -> Iterator[Place]:
    with Place.made() as place:
        yield place


def test_an_image_goes_from_one_machine_to_another_and_starts(place: Place) -> None:
    arch = Host.this().arch
    images = place.home / ".cache/snowshed/images"
    (folder,) = (path for path in images.iterdir() if path.name.startswith(str(arch)))
    file = place.home / "image.tar"
    digest = place.ok("image", "export", folder.name, str(file)).out.strip()
    shutil.rmtree(folder)
    with serving(file.read_bytes()) as server:
        said = place.ok("image", "fetch", "--url", server.url, "--sha256", digest)
    assert Path(said.out.strip()) == folder
    assert f"{folder.name} " in said.err
    place.start()
    assert json.loads(place.ok("status", "--json").out)["image"] == folder.name
    place.ok("stop")


def test_a_download_that_was_interrupted_goes_on(place: Place) -> None:
    content = b"x" * 3_000_000
    with serving(content) as server:
        server.breaks_after = [1_000_000, 0]
        words = ("image", "fetch", "--url", server.url, "--sha256", "0" * 64)
        done = place.run(*words)
        assert done.status == 2
        assert "977 KiB have arrived" in done.err
        done = place.run(*words)
        assert server.asked[-1] == "bytes=1000000-"
    assert done.status == 2
    assert f"instead of {'0' * 64}" in done.err
    assert "Nothing of it is kept." in done.err


def test_ctrl_c_keeps_what_has_arrived(place: Place) -> None:
    partial = place.home / ".cache/snowshed/downloads" / f"{'0' * 64}.partial"
    with serving(b"x" * 200_000_000) as server:
        fetching = place.spawn("image", "fetch", "--url", server.url, "--sha256", "0" * 64)
        with_patience(lambda: partial.exists() and partial.stat().st_size > 1000)
        done = interrupt(fetching)
    assert done.status == 130, done.words
    assert partial.stat().st_size > 1000


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        *([] if released.table() else [((), "its table of released images is empty")]),
        (("--url", "http://127.0.0.1:9/x", "--sha256", "0" * 64), "cannot be fetched: Connection refused."),
        (("--url", "http://127.0.0.1:9/x"), "--url and --sha256 go together."),
        (("--system", "riscv64-linux"), "is not a system that a builder can have"),
    ],
)
def test_what_cannot_be_fetched_is_answered_with_a_sentence(
    place: Place, words: tuple[str, ...], sentence: str
) -> None:
    done = place.run("image", "fetch", *words)
    assert done.status == 2, done.words
    assert sentence in done.err
    assert "Traceback" not in done.err
