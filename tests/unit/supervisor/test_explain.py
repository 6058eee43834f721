"""What the operating system refuses, as a sentence."""

from __future__ import annotations

import errno
import os
from pathlib import Path

import pytest

from snowshed.supervisor.launch import explain


@pytest.mark.parametrize(
    ("number", "file", "says", "hints"),
    [
        (errno.ENOSPC, "/x/seed.img", "There is no space left on the disk that holds /x/seed.img.", "Make room"),
        (errno.EDQUOT, None, "There is no space left on the disk that holds /state.", "Make room"),
        (errno.EACCES, "/x", "/x: Permission denied.", "accessible"),
        (errno.EROFS, None, "/state: Read-only file system.", "writable"),
        (errno.EIO, "/x", "/x: Input/output error.", "kernel"),
        (errno.ENOENT, b"/x", "/x: No such file or directory.", "snowshed logs"),
    ],
)
def test_a_refusal_names_the_file_or_where_it_lies(
    number: int, file: str | bytes | None, says: str, hints: str
) -> None:
    error = explain(OSError(number, os.strerror(number), file), Path("/state"))
    assert error.message == says
    assert hints in error.hint


def test_what_ran_out_of_time_is_no_refusal() -> None:
    assert explain(TimeoutError(), Path("/state")).message == "The guest did not answer in time."
