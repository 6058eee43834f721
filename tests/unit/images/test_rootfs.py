from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest

from snowshed.errors import GuestError
from snowshed.guest.contract import contract
from snowshed.images import initrd, rootfs
from snowshed.images.recipe import DATA, recipe
from snowshed.model.machine import Arch

SCRIPTS = sorted(p for p in DATA.rglob("*") if p.is_file() and p.read_bytes().startswith((b"#!", b"# Read by")))


def test_applets_are_read_from_the_program_itself() -> None:
    assert list(rootfs.applets(b"\x7fELF...\0[\0[[\0ash\0cat\0zcat\0\0rest\0")) == ["[", "[[", "ash", "cat", "zcat"]


def test_something_else_is_no_busybox() -> None:
    with pytest.raises(GuestError, match="busybox-static is not as expected"):
        rootfs.applets(b"\x7fELF")


def test_modules_stay_with_what_they_need() -> None:
    dependencies = initrd.parse_dependencies(
        "kernel/fs/erofs/erofs.ko.xz: kernel/lib/crc.ko.xz kernel/drivers/odd/odd.ko.xz\n"
        "kernel/lib/crc.ko.xz:\nkernel/drivers/odd/odd.ko.xz:\nkernel/drivers/gpu/gpu.ko.xz:\n"
        "kernel/drivers/net/tun.ko.xz:\nkernel/drivers/net/ethernet/big.ko.xz:\n"
    )
    assert rootfs.modules_to_keep(dependencies) == {"erofs", "crc", "odd", "tun"}


def test_set_id_bits_are_taken_away(tmp_path: Path) -> None:
    program = tmp_path / "su"
    program.write_bytes(b"")
    program.chmod(0o4755)
    rootfs._strip_set_id(tmp_path)
    assert program.stat().st_mode & 0o7777 == 0o755


def test_build_users_are_numbered_and_nobody_has_a_password(tmp_path: Path) -> None:
    (tmp_path / "etc").mkdir()
    for name in ("passwd", "group"):
        shutil.copy(DATA / "etc" / name, tmp_path / "etc" / name)
    rootfs._add_build_users(tmp_path)
    users = [line.split(":") for line in (tmp_path / "etc/passwd").read_text().splitlines()]
    assert len({user[2] for user in users}) == len(users) == recipe().build_users + 4
    assert contract().user in {user[0] for user in users}
    shadow = [line.split(":")[1] for line in (tmp_path / "etc/shadow").read_text().splitlines()]
    assert shadow == ["*"] * len(users)
    group = (tmp_path / "etc/group").read_text().splitlines()[-1]
    assert group.startswith(f"nixbld:x:{recipe().build_users_base}:nixbld1,nixbld2,")


@pytest.mark.parametrize("script", SCRIPTS, ids=lambda path: path.name)
def test_scripts_are_shell(script: Path) -> None:
    done = subprocess.run(["sh", "-n", script], capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (0, "")


def test_the_guest_says_stages_as_the_contract_has_them() -> None:
    agreed = contract()
    text = "".join(script.read_text() for script in SCRIPTS)
    assert f'say "{agreed.stage_mark} $*"' in text
    assert f'say "{agreed.fact_mark} $*"' in text
    for stage in agreed.stages:
        assert f"stage {stage}\n" in text or f"stage {stage} ;;" in text, stage


def test_the_guest_uses_the_names_of_the_contract() -> None:
    agreed = contract()
    text = {path.name: path.read_text() for path in SCRIPTS}
    assert f"find_by_serial {agreed.disks.seed}" in text["common"]
    assert f"find_by_serial {agreed.disks.data}" in text["disk"]
    assert f"-L {agreed.labels.data} " in text["disk"]
    assert f"= {agreed.agent_channel} ]" in text["agent"]
    assert f":{agreed.ports.agent} " in text["agent"]
    assert f"VSOCK-LISTEN:{agreed.ports.ssh}," in text["vsock"]
    assert f"{agreed.shares.rosetta} /run/rosetta" in text["foreign"]
    assert f"memory * {agreed.builds.memory_percent} / 100" in text["nix-server"]
    assert f"processes * {agreed.builds.processes_percent} / 100" in text["nix-server"]
    assert f"each={agreed.builds.processes_of_each}\n" in text["nix-server"]
    sshd = (DATA / "etc/ssh/sshd_config").read_text()
    for member in (agreed.seed.host_key, agreed.seed.authorized_keys):
        assert f"{agreed.run_dir}/{member}\n" in sshd
    assert f"!include {agreed.run_dir}/{agreed.seed.nix_conf}\n" in (DATA / "etc/nix/nix.conf").read_text()


def test_only_the_parts_that_are_wanted_are_unpacked(tmp_path: Path) -> None:
    content = tmp_path / "content"
    for name in ("DEBIAN/control", "usr/bin/wanted", "usr/bin/large"):
        (content / name).parent.mkdir(parents=True, exist_ok=True)
        (content / name).write_text("")
    (content / "DEBIAN/control").write_text(
        "Package: p\nVersion: 1\nArchitecture: all\nMaintainer: m\nDescription: d\n"
    )
    package = tmp_path / "p.deb"
    dpkg_deb = shutil.which("dpkg-deb")
    assert dpkg_deb is not None
    subprocess.run([dpkg_deb, "--build", content, package], check=True, capture_output=True)
    (tmp_path / "tree").mkdir()
    rootfs._unpack(dpkg_deb, package, tmp_path / "tree", ["usr/bin/wanted"])
    assert [path.name for path in (tmp_path / "tree").rglob("*") if path.is_file()] == ["wanted"]
    with pytest.raises(GuestError, match="usr/bin/absent"):
        rootfs._unpack(dpkg_deb, package, tmp_path / "tree", ["usr/bin/absent"])


@pytest.mark.parametrize("arch", Arch)
def test_an_image_has_the_emulator_of_the_other_architecture(arch: Arch) -> None:
    assert recipe().parts_of("qemu-user", arch) == (f"usr/bin/qemu-{arch.foreign}",)
    assert recipe().parts_of("git", arch) == ()
