"""What makes a builder known to root's Nix, and takes it away again: on files under a directory of the test's own."""

from __future__ import annotations

import os
from pathlib import Path

import msgspec
import pytest

from snowshed.errors import UserError
from snowshed.nix import install
from snowshed.nix.install import Edit, Layout, Order, vetted
from snowshed.nix.machines import Machine

HOST_KEY = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAI" + "B" * 43
MACHINE = Machine(
    builder="default",
    protocol="ssh-ng",
    systems=("x86_64-linux",),
    key=Path("/home/ada/key"),
    max_jobs=4,
    speed_factor=1,
    features=("benchmark", "big-parallel"),
    host_key=HOST_KEY,
)
ORDER = Order(MACHINE, 31222)


@pytest.fixture
def layout(tmp_path: Path) -> Layout:
    return Layout(builders=f"@{tmp_path}/etc/nix/machines", etc=tmp_path / "etc", root_home=tmp_path / "root")


def do(order: Order, layout: Layout) -> list[Edit]:
    edits = install.plan(order, layout, install.read(install.files(order.machine.builder, layout)))
    install.refuse_managed(edits, layout)
    return install.apply(edits)


def undo(name: str, layout: Layout) -> list[Edit]:
    return install.apply(install.forget(name, layout, install.read(install.files(name, layout))))


def everything(layout: Layout) -> dict[str, bytes]:
    root = layout.etc.parent
    return {str(p.relative_to(root)): p.read_bytes() for p in sorted(root.rglob("*")) if p.is_file()}


def test_what_is_written_on_an_empty_host(layout: Layout) -> None:
    do(ORDER, layout)
    own = layout.etc / "snowshed" / "ssh"
    assert (own / "default.known_hosts").read_text() == f"snowshed-default {HOST_KEY}\n"
    config = (own / "default.conf").read_text()
    assert config.startswith("Host snowshed-default\n  HostName 127.0.0.1\n  Port 31222\n")
    assert f'UserKnownHostsFile "{own}/default.known_hosts"' in config
    assert 'IdentityFile "/home/ada/key"' in config
    assert f'Include "{own}/default.conf"\n' in layout.root_ssh.read_text()
    assert MACHINE.line in layout.machines.read_text().splitlines()
    assert not layout.nix_conf.exists()
    modes = {p.name: p.stat().st_mode & 0o777 for p in (layout.root_ssh, layout.machines, layout.root_ssh.parent)}
    assert modes == {"config": 0o600, "machines": 0o644, ".ssh": 0o700}


def test_twice_is_once_and_away_is_away(layout: Layout) -> None:
    layout.machines.parent.mkdir(parents=True)
    layout.machines.write_bytes(b"# mine \xff\nssh://old x86_64-linux\n")
    layout.root_ssh.parent.mkdir(parents=True)
    layout.root_ssh.write_text("ForwardAgent yes\nHost x\n  Port 2\n")
    before = everything(layout)
    assert len(do(ORDER, layout)) == 4
    assert layout.root_ssh.read_text().endswith("ForwardAgent yes\nHost x\n  Port 2\n")
    after = everything(layout)
    assert do(ORDER, layout) == []
    assert everything(layout) == after
    undo("default", layout)
    assert everything(layout) == before
    assert undo("default", layout) == []


def test_one_builder_goes_and_the_other_stays(layout: Layout) -> None:
    do(ORDER, layout)
    alone = everything(layout)
    do(Order(msgspec.structs.replace(MACHINE, builder="arm"), 31223), layout)
    undo("arm", layout)
    assert everything(layout) == alone


def test_a_nix_that_reads_no_machines_is_told_to(tmp_path: Path) -> None:
    """`builders` has to name the file; what it says already is kept. It goes with the last builder."""
    layout = Layout(builders="ssh://old x86_64-linux", etc=tmp_path / "etc", root_home=tmp_path / "root")
    layout.nix_conf.parent.mkdir(parents=True)
    layout.nix_conf.write_text("max-jobs = 2\n")
    do(ORDER, layout)
    do(Order(msgspec.structs.replace(MACHINE, builder="arm"), 31223), layout)
    assert f"builders = ssh://old x86_64-linux;@{layout.machines}\n" in layout.nix_conf.read_text()
    now = msgspec.structs.replace(layout, builders=f"ssh://old x86_64-linux;@{layout.machines}")
    assert do(ORDER, now) == []
    undo("default", now)
    assert "builders =" in layout.nix_conf.read_text()
    undo("arm", now)
    assert layout.nix_conf.read_text() == "max-jobs = 2\n"


def test_determinate_nix_writes_its_nix_conf_itself(tmp_path: Path) -> None:
    layout = Layout(builders="", determinate=True, etc=tmp_path / "etc", root_home=tmp_path / "root")
    do(ORDER, layout)
    assert (tmp_path / "etc/nix/nix.custom.conf").read_text().splitlines()[1] == f"builders = @{layout.machines}"


def test_another_file_that_nix_reads(tmp_path: Path) -> None:
    layout = Layout(builders=f"@{tmp_path}/mine", etc=tmp_path / "etc", root_home=tmp_path / "root")
    do(ORDER, layout)
    assert MACHINE.line in (tmp_path / "mine").read_text()


def test_a_line_that_somebody_wrote_by_hand_is_not_doubled(layout: Layout) -> None:
    layout.machines.parent.mkdir(parents=True)
    layout.machines.write_text("# x\nssh-ng://builder@snowshed-default x86_64-linux\n")
    with pytest.raises(UserError, match=r"that snowshed did not write \(line 2\)"):
        do(ORDER, layout)
    layout.machines.write_text("# ssh://snowshed-default\nssh-ng://builder@snowshed-default-2 x86_64-linux\n")
    do(ORDER, layout)


@pytest.mark.parametrize(("part", "who"), [("nix/machines", "NixOS"), ("root", "home-manager")])
def test_files_of_a_module_system_are_refused(tmp_path: Path, part: str, who: str) -> None:
    edit = Edit(Path("/nix/store") / "x", "a", "b")
    layout = Layout(root_home=Path("/nix/store") if part == "root" else tmp_path)
    if part == "root":
        edit = Edit(layout.root_ssh, "a", "b")
    with pytest.raises(UserError, match=f"is made by {who}") as error:
        install.refuse_managed([edit], layout)
    assert "services.snowshed" in error.value.hint or part == "root"
    install.refuse_managed([Edit(edit.path, "a", "a")], layout)


def test_nix_darwin_is_named_on_a_mac() -> None:
    with pytest.raises(UserError, match="made by nix-darwin"):
        install.refuse_managed([Edit(Path("/nix/store/m"), "a", "b")], Layout(platform="darwin"))


def test_files_of_a_configuration_management_are_refused() -> None:
    with pytest.raises(UserError, match="configuration management"):
        install.refuse_managed([Edit(Path("/etc/x"), "# Ansible managed\n# Managed by Ansible\n", "b")], Layout())


def test_a_link_stays_a_link_and_modes_stay(layout: Layout, tmp_path: Path) -> None:
    real = tmp_path / "real"
    real.write_text("")
    real.chmod(0o640)
    layout.machines.parent.mkdir(parents=True)
    layout.machines.symlink_to(real)
    do(ORDER, layout)
    assert layout.machines.is_symlink()
    assert MACHINE.line in real.read_text()
    assert real.stat().st_mode & 0o777 == 0o640


def test_everybody_may_log_in_only_while_it_says_so(layout: Layout) -> None:
    shared = layout.everybodys_ssh / "50-snowshed-default.conf"
    do(Order(MACHINE, 31222, key_for_all="a key"), layout)
    assert f'IdentityFile "{layout.own("default", "key")}"' in shared.read_text()
    assert layout.own("default", "key").read_text() == "a key"
    do(ORDER, layout)
    assert not shared.exists()
    assert not layout.own("default", "key").exists()


def test_a_builder_behind_another_host(layout: Layout) -> None:
    do(Order(MACHINE, 31222, jump="ada@studio"), layout)
    assert "  ProxyJump ada@studio\n" in layout.own("default", "conf").read_text()


@pytest.mark.parametrize(
    ("change", "why"),
    [
        ({"host_key": "ssh-rsa AAAA"}, "its host key"),
        ({"host_key": HOST_KEY + "\nssh://evil x86_64-linux"}, "its host key"),
        ({"systems": ("x86_64-linux -\nssh://evil",)}, "its systems"),
        ({"features": ("kvm /etc/shadow",)}, "its features"),
        ({"max_jobs": 0}, "0 jobs"),
        ({"max_jobs": 100_000}, "100000 jobs"),
    ],
)
def test_what_would_mean_something_else_to_nix_is_refused(change: dict[str, object], why: str) -> None:
    assert vetted(MACHINE) is MACHINE
    with pytest.raises(UserError, match=why):
        vetted(msgspec.structs.replace(MACHINE, **change))


def test_nothing_is_half_written(layout: Layout, monkeypatch: pytest.MonkeyPatch) -> None:
    """A file that cannot be written is left as it was, nothing lies beside it, and what came before is undone."""
    layout.machines.parent.mkdir(parents=True)
    layout.machines.write_text("mine\n")
    written: list[int] = []
    sync = os.fsync

    def full(descriptor: int) -> None:
        written.append(descriptor)
        if len(written) == 4:
            raise OSError(28, "No space left on device")
        sync(descriptor)

    monkeypatch.setattr("os.fsync", full)
    with pytest.raises(UserError, match="nix/machines cannot be written: No space left"):
        do(ORDER, layout)
    assert everything(layout) == {"etc/nix/machines": b"mine\n"}
