"""The signed interpreter: a real copy of this one, signed by a codesign that notes what it was told."""

from __future__ import annotations

import os
import plistlib
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest
from fakes.programs import ROOT, script

from snowshed.drivers.vz import signing
from snowshed.errors import GuestError, SnowshedError, UserError

SIGNS = """
printf '%s\\n' "$*" >> "$NOTES"
case $1 in
--force) cp "$5" "$6.entitlements" ;;
-d) cat "$5.entitlements" ;;
esac
"""


@pytest.fixture
def notes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A home without a signed interpreter, and a codesign on the PATH."""
    bin_ = tmp_path / "bin"
    bin_.mkdir()
    script(bin_ / "codesign", SIGNS)
    monkeypatch.setenv("PATH", f"{bin_}:{os.environ['PATH']}")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setenv("NOTES", str(tmp_path / "notes"))
    monkeypatch.setenv("PYTHONPATH", f"{ROOT}/src")
    monkeypatch.delenv(signing.VARIABLE, raising=False)
    return tmp_path / "notes"


def trees() -> list[str]:
    return sorted(path.name for path in signing.root().iterdir())


def test_it_is_made_once_and_found_again(notes: Path) -> None:
    assert signing.find() is None
    made = signing.make()
    assert signing.find() == made == signing.make()
    assert made.name == "snowshed-vz"
    signed = [line for line in notes.read_text().splitlines() if line.startswith("--force")]
    assert len(signed) == 1
    assert signed[0].startswith("--force --sign - --entitlements ")
    assert "runtime" not in signed[0], "under the hardened runtime PyObjC's libraries would not load"
    assert trees() == [made.parents[1].name], "nothing half-made is left"


def test_it_was_signed_before_it_lay_where_it_is_used(notes: Path) -> None:
    """A program that was run once and is changed in place is killed by macOS."""
    made = signing.make()
    signed = notes.read_text().splitlines()[0].split()[-1]
    assert signed != str(made)
    assert not Path(signed).exists()


def test_the_copy_runs_and_finds_what_we_find(notes: Path) -> None:
    made = signing.make()
    code = "import sys, msgspec, snowshed; print(sys.executable, sys.prefix, msgspec.__file__)"
    executable, prefix, module = subprocess.check_output([made, "-P", "-c", code], text=True).split()
    assert executable == str(made)
    assert prefix == str(made.parents[1])
    assert Path(module).resolve() == Path(sys.modules["msgspec"].__file__ or "").resolve()


def test_the_entitlements_are_a_bare_dictionary(notes: Path) -> None:
    made = signing.make()
    given = made.with_name("snowshed-vz.entitlements").read_bytes()
    assert plistlib.loads(given) == {"com.apple.security.virtualization": True}
    assert b"<!--" not in given, "macOS takes no comments there"


def test_another_interpreter_gets_a_copy_of_its_own_and_the_old_one_goes(notes: Path, monkeypatch) -> None:
    old = signing.make()
    ours = signing.origin()
    monkeypatch.setattr(signing, "origin", lambda: replace(ours, home=ours.home / "." / "x" / ".."))
    new = signing.make()
    assert new != old
    assert not old.exists()
    assert new.exists()


def test_doctor_makes_it_anew(notes: Path) -> None:
    """The same place, another file."""
    made = signing.make()
    before = made.stat().st_ino
    words = [sys.executable, "-P", "-m", "snowshed.drivers.vz.signing", "--anew"]
    assert subprocess.check_output(words, text=True).strip() == str(made)
    assert made.stat().st_ino != before
    assert trees() == [made.parents[1].name]


def test_a_copy_without_the_entitlement_is_not_kept(notes: Path, tmp_path: Path) -> None:
    script(tmp_path / "bin/codesign", "exit 0")
    with pytest.raises(GuestError, match="does not carry the entitlement"):
        signing.make()
    assert trees() == []


def test_a_codesign_that_fails_is_quoted_and_nothing_is_left(notes: Path, tmp_path: Path) -> None:
    script(tmp_path / "bin/codesign", "echo 'errSecInternalComponent' >&2; exit 1")
    with pytest.raises(GuestError, match="errSecInternalComponent"):
        signing.make()
    assert trees() == []


def test_an_interpreter_that_starts_another_one_is_noticed(notes: Path, tmp_path: Path, monkeypatch) -> None:
    """What the stub of a framework build does."""
    stub = script(tmp_path / "stub", f'exec {sys.executable} "$@"')
    monkeypatch.setattr(signing, "origin", lambda: replace(real, executable=stub))
    real = signing.Origin(stub, Path(sys.base_prefix) / "bin", Path(sys.prefix), Path(sys.base_prefix))
    with pytest.raises(GuestError, match="starts another one"):
        signing.make()


def test_xcodes_python_is_refused_with_what_to_do(notes: Path, tmp_path: Path, monkeypatch) -> None:
    """Its framework build loads its library by its place: the copy could not run."""
    binary = tmp_path / "Python"
    binary.write_bytes(b"\xcf\xfa\xed\xfe" + b"\0" * 600 + b"@executable_path/../../../../Python3\0")
    assert signing.is_tied(binary)
    tied = signing.Origin(binary, tmp_path, tmp_path, tmp_path, framework=True, tied=True)
    monkeypatch.setattr(signing, "origin", lambda: tied)
    with pytest.raises(UserError, match="works only where it lies") as caught:
        signing.make()
    assert "vfkit" in caught.value.hint
    binary.write_bytes(b"\xcf\xfa\xed\xfe" + b"\0" * 600 + b"/Library/Frameworks/Python.framework/Python\0")
    assert not signing.is_tied(binary)


def test_the_nix_packages_own_is_taken(notes: Path, tmp_path: Path, monkeypatch) -> None:
    named = tmp_path / "python3"
    named.touch()
    assert signing.find({signing.VARIABLE: str(named)}) == named
    with pytest.raises(SnowshedError, match="which does not exist"):
        signing.find({signing.VARIABLE: str(tmp_path / "gone")})
    monkeypatch.setenv(signing.VARIABLE, str(named))
    assert signing.make() == named
    assert not notes.exists(), "nothing was signed"


def test_a_host_without_codesign(notes: Path, tmp_path: Path, monkeypatch) -> None:
    (tmp_path / "bin/codesign").unlink()
    with pytest.raises(UserError, match="codesign is not installed"):
        signing.make()
