"""Fetching a large file whose hash is known: what has arrived stays, and the next try goes on from there.

Ranges are those of RFC 9110, section 14: a server that does not know them sends the whole file again.
"""

from __future__ import annotations

import hashlib
import http.client
import os
import re
import urllib.error
import urllib.request
from email.message import Message
from pathlib import Path
from typing import Any, BinaryIO

from ..errors import UserError
from ..units import format_size
from .progress import Report

SILENCE = 30.0
"""Seconds without a byte after which a connection counts as lost."""

STAGE = "download"
CHUNK = 256 << 10

_KEPT = "What has arrived is kept: the next try goes on from there."


def get(url: str, sha256: str, folder: Path, report: Report) -> Path:
    """The file at `url`, in `folder`, its SHA-256 (64 hex digits) proven. Raises `UserError`.

    A connection that breaks is made anew as long as each brings something.
    """
    folder.mkdir(parents=True, exist_ok=True)
    partial, whole = folder / f"{sha256}.partial", folder / sha256
    while True:
        before = _size(partial)
        try:
            _receive(url, partial, report)
            break
        except urllib.error.HTTPError as error:
            raise _refused(url, error) from error
        except (OSError, http.client.HTTPException) as error:
            if _size(partial) <= before:
                raise _unreachable(url, error, before) from error
    report("checking", None)
    _check(url, partial, sha256)
    partial.replace(whole)
    return whole


def _size(file: Path) -> int:
    try:
        return file.stat().st_size
    except FileNotFoundError:
        return 0


def _receive(url: str, partial: Path, report: Report) -> None:
    """Bring `partial` to its end."""
    have = _size(partial)
    request = urllib.request.Request(url, headers={"User-Agent": "snowshed", "Accept-Encoding": "identity"})
    if have:
        request.add_header("Range", f"bytes={have}-")
    try:
        answer = urllib.request.urlopen(request, timeout=SILENCE)
    except urllib.error.HTTPError as error:
        if error.code != http.HTTPStatus.REQUESTED_RANGE_NOT_SATISFIABLE:
            raise
        if _total_of(error.headers) == have:
            return  # all of it was there already
        partial.unlink()
        _receive(url, partial, report)
        return
    with answer, partial.open("r+b" if have else "wb") as file:
        start = _start_of(answer, have)
        file.truncate(start)
        file.seek(start)
        _pour(answer, file, start, report)
        file.flush()
        os.fsync(file.fileno())


def _start_of(answer: Any, have: int) -> int:
    """From which byte on the server sends."""
    if getattr(answer, "status", None) != http.HTTPStatus.PARTIAL_CONTENT:
        return 0
    match = re.match(r"bytes (\d+)-", answer.headers.get("Content-Range", ""))
    start = int(match[1]) if match else 0
    if start > have:
        raise http.client.HTTPException(f"it sends from byte {start} on, and {have} are here")
    return start


def _total_of(headers: Message) -> int | None:
    match = re.match(r"bytes \*/(\d+)", headers.get("Content-Range", ""))
    return int(match[1]) if match else None


def _pour(answer: Any, file: BinaryIO, start: int, report: Report) -> None:
    length = answer.headers.get("Content-Length")
    total = start + int(length) if length and length.isdigit() else None
    place = start
    report(STAGE, place / total if total else None)
    while data := answer.read(CHUNK):
        file.write(data)
        place += len(data)
        report(STAGE, place / total if total else None)
    if total is not None and place < total:
        raise http.client.IncompleteRead(b"", total - place)


def _check(url: str, file: Path, sha256: str) -> None:
    with file.open("rb") as stream:
        found = hashlib.file_digest(stream, "sha256").hexdigest()
    if found != sha256:
        file.unlink()
        raise UserError(
            f"What lies at {url} is not what was asked for: its SHA-256 is {found} instead of {sha256}.",
            "Nothing of it is kept. It was changed since, or something on the way changes it: look at the address.",
        )


def _refused(url: str, error: urllib.error.HTTPError) -> UserError:
    if error.code in (http.HTTPStatus.NOT_FOUND, http.HTTPStatus.GONE):
        return UserError(f"There is nothing at {url} (the server says {error.code}).", "Check the address.")
    return UserError(f"The server of {url} refuses: {error.code} {error.reason}.", f"Try again later. {_KEPT}")


def _unreachable(url: str, error: Exception, have: int) -> UserError:
    reason = getattr(error, "reason", None) or error
    said = getattr(reason, "strerror", None) or str(reason) or type(reason).__name__
    arrived = f" {format_size(have)} have arrived." if have else ""
    return UserError(f"{url} cannot be fetched: {said}.{arrived}", f"Check the network, and the proxy if any. {_KEPT}")
