from __future__ import annotations

from pathlib import Path

import pytest

from snowshed.errors import UserError
from snowshed.images import apt
from snowshed.images.apt import Package
from snowshed.model.machine import Arch

DIGEST = "c833be48abfa16bc19c4966ec93e289ff1ce5d2f1476cad3a57bd105378cd15c"


def package(name: str, size: int = 10, sha256: str = DIGEST) -> Package:
    return Package(name, "1", "arm64", sha256, size, f"file:/pool/{name}.deb")


def test_uris_are_read_with_their_epochs_and_sorted() -> None:
    text = (
        f"'http://mirror/pool/b/busybox/busybox-static_1.37.0-6%2bb9_arm64.deb' "
        f"busybox-static_1%3a1.37.0-6+b9_arm64.deb 847552 SHA256:{DIGEST}\n"
        f"'http://mirror/pool/a/adduser/adduser_3.1_all.deb' adduser_3.1_all.deb 12 SHA256:{DIGEST}\n"
    )
    first, second = apt.parse_uris(text)
    assert first == Package("adduser", "3.1", "all", DIGEST, 12, "http://mirror/pool/a/adduser/adduser_3.1_all.deb")
    assert (second.name, second.version, second.size) == ("busybox-static", "1:1.37.0-6+b9", 847552)
    assert second.file_name == "busybox-static_1%3a1.37.0-6+b9_arm64.deb"


def test_a_weak_hash_is_refused() -> None:
    with pytest.raises(Exception, match="no SHA-256 of socat"):
        apt.parse_uris("'http://mirror/socat_1_arm64.deb' socat_1_arm64.deb 12 MD5Sum:abc\n")


@pytest.mark.parametrize(
    ("targets", "mirror"),
    [
        ("Debian|Debian|bookworm|http://mirror/debian/\n", "http://mirror/debian/"),
        ("Debian|Debian-Security|bookworm-security|http://mirror/security/\n", None),
        ("|nothing|cloud-sdk-bookworm|http://other/apt/\n||trixie|http://mirror/debian\n", "http://mirror/debian/"),
        ("Debian|Debian|bookworm|cdrom:[Debian 12]/\n", None),
        ("Ubuntu|Ubuntu|noble|http://mirror/ubuntu/\n", None),
        ("||noble|http://mirror/ubuntu/\n", None),
        (
            "Debian|Debian|trixie|mirror+file:/etc/apt/debian.list\n",
            "mirror+file:/etc/apt/debian.list/",
        ),
        ("", None),
    ],
)
def test_the_mirror_is_the_one_of_debian_itself(targets: str, mirror: str | None) -> None:
    assert apt.choose_mirror(targets) == mirror


def test_before_the_first_update_the_mirror_is_where_that_would_look() -> None:
    third, ours = (
        "'https://third/dists/stable-x/InRelease'",
        "'http://mirror/debian/dists/trixie/InRelease'",
    )
    assert apt.choose_unasked(f"{third} third 0 \n{ours} mirror_debian_dists_trixie_InRelease 0 \n") == (
        "http://mirror/debian/"
    )
    assert apt.choose_unasked(f"{third} third 0 \n\n") is None


@pytest.mark.parametrize("mirror", ["mirror", "http ://x", "http://x y", "[trusted=yes] http://x", "/srv/debian"])
def test_a_mirror_that_is_none_is_refused(mirror: str) -> None:
    with pytest.raises(UserError, match="not the address of a Debian mirror"):
        apt.check_mirror(mirror)


@pytest.mark.parametrize("suite", ["", "../x", "trixie main [trusted=yes]", "tri xie"])
def test_a_suite_that_is_none_is_refused(suite: str) -> None:
    with pytest.raises(UserError, match="not the name of a Debian suite"):
        apt.check_suite(suite)


def test_the_hosts_hooks_and_pins_do_not_count_but_its_proxy_does() -> None:
    text = apt.config_text(Path("/cache/apt"), Arch.AARCH64, 'Acquire::http::Proxy "http://proxy:3128";')
    lines = text.splitlines()
    assert lines[0] == 'Acquire::http::Proxy "http://proxy:3128";'
    assert 'Dir::Etc::Parts "/dev/null";' in lines
    assert 'APT::Architecture "arm64";' in lines
    assert not [line for line in lines if "Allow" in line or "Insecure" in line]


def test_provided_packages_count_as_installed() -> None:
    text = apt.status_text(["perl"], Arch.X86_64)
    assert "Package: perl\nStatus: install ok installed\n" in text
    assert "Architecture: amd64\n" in text
    assert text.endswith("\n\n")
    assert apt.status_text([], Arch.X86_64) == ""


def test_batches_hold_everything_once_in_order() -> None:
    packages = [package(name, size) for name, size in [("a", 5), ("b", 1), ("c", 100), ("d", 1)]]
    batches = list(apt.in_batches(packages, 6))
    assert [[p.name for p in batch] for batch in batches] == [["a", "b"], ["c"], ["d"]]


def test_a_broken_download_is_not_kept(tmp_path: Path) -> None:
    partial = tmp_path / "partial"
    partial.mkdir()
    good = package("good", 4, "88d4266fd4e6338d13b845fcf289579d209c897823b9217da3e161936f031589")
    bad = package("bad", 4)
    for one in (good, bad):
        (partial / one.file_name).write_bytes(b"abcd")
        apt._keep_if_right(one, partial, tmp_path)
    assert (tmp_path / good.file_name).read_bytes() == b"abcd"
    assert not (tmp_path / bad.file_name).exists()
    assert list(partial.iterdir()) == []


def test_a_machine_without_debians_keys_is_told_what_to_install(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(apt, "KEYRINGS", (tmp_path / "missing.gpg",))
    with pytest.raises(UserError) as caught:
        apt.find_keyring()
    assert "debian-archive-keyring" in caught.value.hint


def test_the_suite_name_reaches_apt_only_as_a_name() -> None:
    assert apt.check_suite("trixie-backports") == "trixie-backports"
