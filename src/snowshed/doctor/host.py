"""Checks of the host that every platform has: the configuration, the driver, space, memory, ports, programs."""

from __future__ import annotations

import os
import resource
import shutil
import sys
import time
from pathlib import Path
from typing import Any

from .. import paths
from ..config import BuilderConfig
from ..errors import SnowshedError
from ..images import freshness
from ..model.machine import EfiBoot, LinuxBoot, MachineSpec
from ..network import ports
from ..service import installation
from ..state import held
from ..units import GIB, MIB, format_size
from .check import Check, Level, Verdict, fine, note, wrong
from .look import Case, Look

LITTLE_SPACE = 10 * GIB
TOO_LITTLE_SPACE = 1 * GIB
ASKED_LONG_AGO = 30
"""Days after which nobody knows any more whether an image is up to date."""
ENOUGH_FILES = 1024
"""A connection takes two descriptors, and Nix opens one for every build and copy."""

KNOWN_BAD_QEMU = (
    ((0, 0, 0), (9, 2, 0), "aborts on an M4 at its start (`max-arm-cpu.sme`): nix-darwin issue 1292"),
    ((11, 0, 0), (11, 0, 2), "may abort at its start (`hvf_arch_init_vcpu`): nixpkgs issues 528299 and 532038"),
)
"""On a Mac with Apple silicon: the first version, the first that is right again, and what the ones between do."""


def configuration(look: Look) -> Verdict:
    case = look.case
    if case.config is None:
        return wrong(case.complaint.rstrip("."), case.hint)
    config = case.config
    return fine(f"{config.system}, {config.cores} cores, {format_size(config.memory)}, port {config.port}")


def driver(look: Look) -> Verdict:
    found = look.fact("driver", lambda: _driver(look.case))
    if found["problems"]:
        return wrong(found["problems"][0]["message"].rstrip("."), found["problems"][0]["hint"])
    blocker = f"; cannot suspend: {found['suspend_blocker']}" if found["suspend_blocker"] else ""
    why = f" ({found['why']})" if found["why"] else ""
    return fine(f"{found['name']}{why}{blocker}")


def accelerator(look: Look) -> Verdict:
    """What will execute the guest. Emulation works, and is five to twenty times slower."""
    found = look.fact("driver", lambda: _driver(look.case))
    why = found["accelerator_reason"].rstrip(".")
    if found["accelerator"] != "tcg":
        return fine(f"{found['accelerator']}: {why}" if why else str(found["accelerator"]))
    if look.case.platform == "linux":
        return note(f"emulation: {why}", _why_no_kvm(look))
    return note(f"emulation: {why}", "A guest of this Mac's own architecture runs at full speed.")


def _why_no_kvm(look: Look) -> str:
    """What to do about a Linux host without KVM, from the device and the processor's flags."""
    case = look.case
    machine = look.run("uname", "-m").out.strip()
    if case.config is not None and case.config.arch != machine:
        return f"A guest of another architecture is always emulated; {machine}-linux may run at full speed."
    flags = set((look.read("/proc/cpuinfo") or "").split())
    if machine == "x86_64" and not flags & {"vmx", "svm"}:
        return (
            "The processor does not offer virtualisation: turn it on in the firmware's settings, or, where this is a "
            "virtual machine itself, give it nested virtualisation."
        )
    device = look.facts("/dev/kvm")
    if device is None:
        return "There is no /dev/kvm: load the module, `modprobe kvm_intel` or `modprobe kvm_amd`."
    if not look.fact("kvm access", lambda: os.access("/dev/kvm", os.R_OK | os.W_OK)):
        return "You may not open /dev/kvm: `sudo usermod -aG kvm $USER`, then log in anew."
    return ""


def _driver(case: Case) -> dict[str, Any]:
    """What the configured driver says about this host."""
    from ..drivers import registry

    config = case.config
    assert config is not None, "comes after the configuration"
    name, why = registry.choose(config.driver, config.arch)
    chosen = registry.load(name)
    spec = _spec(case, config)
    problems = [problem.as_json() for problem in chosen.check(spec)]
    found: dict[str, Any] = {"name": name, "why": why, "problems": problems, "accelerator": "", "suspend_blocker": ""}
    if not problems:
        known = chosen.capabilities(spec)
        found |= {
            "accelerator": known.accelerator,
            "accelerator_reason": known.accelerator_reason,
            "suspend_blocker": known.suspend_blocker,
        }
    return found


def _spec(case: Case, config: BuilderConfig) -> MachineSpec:
    """The machine as a driver would be given it, as far as a driver's opinion depends on it."""
    from ..images import store
    from ..model.machine import Share

    image = store.find(config.image) if config.image else store.newest(config.arch, current=False)
    boot: LinuxBoot | EfiBoot = EfiBoot(Path(case.state) / "efi-variables.fd")
    if config.kernel:
        boot = LinuxBoot(Path(config.kernel), Path(config.initrd), "")
    elif image is not None and image.boot is not None:
        boot = image.boot
    return MachineSpec(
        name=case.builder,
        arch=config.arch,
        cores=config.cores,
        memory=config.memory,
        boot=boot,
        disks=(),
        mac="02:00:00:00:00:01",
        machine_id="00000000-0000-0000-0000-000000000001",
        shares=tuple(Share(tag, Path(share.path), share.read_only) for tag, share in config.shares.items()),
        network=config.network,
        accelerator=config.accel,
        nested=config.nested_virtualization,
        rosetta=config.rosetta,
    )


def qemu(look: Look) -> Verdict:
    """The version, and the known breakage of some versions on Macs."""
    config = look.case.config
    if config is None:
        return note("which QEMU is needed is not known")
    names = [f"qemu-system-{config.arch}"]
    output = look.run(names[0], "--version")
    if output.status == 127:
        return note(f"{names[0]} is not installed; the driver in use needs none")
    words = output.out.split("version ", 1)[-1].split()
    text = words[0] if words else "0"
    version = tuple(int(part) for part in text.split(".")[:3] if part.isdigit())
    if look.case.platform == "darwin" and look.run("uname", "-m").out.strip() == "arm64":
        for first, right, what in KNOWN_BAD_QEMU:
            if first <= version < right:
                fixed = ".".join(map(str, right))
                return wrong(f"QEMU {text} {what}", f"Use {fixed} or later, or the driver vz or vfkit.")
    return fine(f"QEMU {text}")


def image(look: Look) -> Verdict:
    """An image to boot from, or what makes one."""
    if _has_images_elsewhere(look.case):
        shows = installation.as_account("image list", look.case.platform)
        return note("the newest of the account that runs the builders of the system", f"`{shows}` shows them.")
    found = look.fact("image", lambda: _image(look.case))
    if found["name"]:
        return _age(found)
    if found["missing"]:
        return wrong(
            f"there is no image yet, and making one needs {', '.join(found['missing'])}",
            "Install them (Debian: `apt install apt erofs-utils debian-archive-keyring`), or give --image.",
        )
    return note("none yet; the first start makes one, in about ten seconds, from 150 MB of Debian packages")


def _has_images_elsewhere(case: Case) -> bool:
    """Whether it is a builder of the system that boots the newest image of the account that runs it."""
    of_the_system = Path(case.state).is_relative_to(paths.SYSTEM_STATE)
    return of_the_system and case.config is not None and not (case.config.image or case.config.kernel)


def _age(found: dict[str, Any]) -> Verdict:
    """What is known of newer packages: it is read, and nobody is asked."""
    if older := found.get("older"):
        return wrong(f"{found['name']}. {older.rstrip('.')}", level=Level.WARNING)
    if not found.get("asked"):
        return fine(found["name"])
    if found["days"] > ASKED_LONG_AGO:
        says = f"{found['name']}; whether Debian has newer packages was last asked on {found['asked']}"
        return note(says, "`snowshed image upgrade --check` asks.")
    return fine(f"{found['name']}, as new as Debian on {found['asked']}")


def _image(case: Case) -> dict[str, Any]:
    from ..images import store

    config = case.config
    assert config is not None, "comes after the configuration"
    if config.kernel:
        return {"name": f"direct boot of {config.kernel}", "missing": []}
    found = store.find(config.image) if config.image else store.newest(config.arch, current=True)
    tools = [tool for tool in ("apt-get", "dpkg-deb", "mkfs.erofs") if shutil.which(tool, path=_PATH) is None]
    if found is None:
        return {"name": "", "missing": tools}
    answer = freshness.last_answer(found.manifest.system, found.manifest.suite)
    age = {"asked": freshness.day(answer.asked), "days": int((time.time() - answer.asked) / 86400)} if answer else {}
    return {"name": found.name, "missing": tools, "older": freshness.sentence(found.path, case.builder), **age}


_PATH = os.pathsep.join([os.environ.get("PATH", os.defpath), "/usr/sbin", "/sbin"])


def state_directory(look: Look) -> Verdict:
    """Where the builder's state lies: not where things vanish, or where other programs change them."""
    state = look.case.state
    where = look.fact("state directory", lambda: _mount_of(Path(state)))
    if where["type"] in ("tmpfs", "ramfs", "devtmpfs"):
        return wrong(f"{state} is in memory ({where['type']}): everything in it is gone after a restart")
    if state.startswith(("/tmp/", "/private/tmp/", "/var/tmp/")):
        return wrong(f"{state} is a temporary place, which systems tidy up: macOS after three days")
    if where["type"].startswith(("nfs", "smb", "cifs", "afp", "webdav", "fuse.sshfs")):
        return wrong(f"{state} is on a network ({where['type']}): locks and disk images are not safe there")
    for part, who in (("Mobile Documents", "iCloud"), ("Dropbox", "Dropbox"), ("OneDrive", "OneDrive")):
        if part in state:
            return wrong(f"{state} is copied to {who}, which would copy the whole disk at every build")
    if where["owner"] not in (None, look.case.uid) and not look.case.is_root:
        return wrong(f"{state} belongs to user {where['owner']}, not to you", "Look at a builder as its owner.")
    return fine(f"{state} ({where['type'] or 'kind of file system unknown'})")


def _mount_of(path: Path) -> dict[str, Any]:
    owner = path.stat().st_uid if path.exists() else None
    try:
        rows = [line.split() for line in Path("/proc/self/mounts").read_text().splitlines()]
    except OSError:
        return {"type": _type_on_mac(path), "owner": owner}
    real = _existing(path).resolve()
    best, kind = Path("/"), ""
    for _, place, type_, *_ in rows:
        mount = Path(place.replace("\\040", " "))
        if real.is_relative_to(mount) and len(mount.parts) >= len(best.parts):
            best, kind = mount, type_
    return {"type": kind, "owner": owner}


def _type_on_mac(path: Path) -> str:
    from ..process import attempt

    text = attempt(["/usr/bin/stat", "-f", "%T", str(_existing(path))]).out.strip()
    return text if text and text not in ("/", "@", "*") else "apfs"


def _existing(path: Path) -> Path:
    return next(folder for folder in (path, *path.parents) if folder.exists())


def space(look: Look) -> Verdict:
    """What the host's disk has left for a builder's disk that grows, and for its memory when it is suspended."""
    config = look.case.config
    free = look.fact("free space", lambda: _free(Path(look.case.state)))
    needs = LITTLE_SPACE if config is None else max(LITTLE_SPACE, config.memory)
    if free < TOO_LITTLE_SPACE:
        return wrong(f"{format_size(free)} are free: builds stop, and wait, when there is nothing left")
    if free < needs:
        says = f"{format_size(free)} are free; its disk grows, and a suspended builder needs as much as it has memory"
        return wrong(says, level=Level.WARNING)
    return fine(f"{format_size(free)} free")


def _free(path: Path) -> int:
    found = os.statvfs(_existing(path))
    return found.f_bavail * found.f_frsize


def memory(look: Look) -> Verdict:
    config = look.case.config
    if config is None:
        return note("what the builder wants is not known")
    total, available = look.fact("memory", _memory)
    wanted = f"the builder may take {format_size(config.memory)} of {format_size(total)}"
    if config.memory > total * 3 // 4:
        return wrong(f"{wanted}, which leaves little for this machine", 'Give it less: `memory = "4GiB"`.')
    if available is not None and available < config.memory:
        return note(f"{wanted}; just now {format_size(available)} are available")
    return fine(wanted)


def _memory() -> tuple[int, int | None]:
    page = os.sysconf("SC_PAGE_SIZE")
    total = page * os.sysconf("SC_PHYS_PAGES")
    if sys.platform == "linux":
        for line in Path("/proc/meminfo").read_text().splitlines():
            if line.startswith("MemAvailable:"):
                return total, int(line.split()[1]) * 1024
    return total, None


def files(look: Look) -> Verdict:
    soft, hard = look.fact("open files", lambda: list(resource.getrlimit(resource.RLIMIT_NOFILE)))
    if 0 <= hard < ENOUGH_FILES or 0 <= soft < 256:
        return wrong(f"a process may open {soft} files, at most {hard}; every connection takes two")
    return fine(f"{soft} at once, at most {'any number' if hard < 0 or hard > 1 << 40 else hard}")


def port(look: Look) -> Verdict:
    """Whether the builder's port is its own."""
    config = look.case.config
    if config is None:
        return note("which port is wanted is not known")
    found = look.fact("port", lambda: _port(look.case, config.port))
    if found["ours"]:
        return fine(f"{config.port}, held by the builder")
    if found["free"]:
        return fine(f"{config.port} is free")
    owner = found["owner"] or "another program listens there"
    if any(owner.startswith(name) for name in ("systemd", "launchd", "init")):
        return fine(f"{config.port}, held by {owner.split()[0]} until a connection comes")
    return wrong(
        f"{config.port} on 127.0.0.1 is taken: {owner}", "Choose another: `port = 31223`, or end that program."
    )


def _port(case: Case, number: int) -> dict[str, Any]:
    ours = held(Path(case.state) / "supervisor.lock")
    return {"ours": ours, "free": ports.is_free(number), "owner": ports.port_owner(number)}


def openssh(look: Look) -> Verdict:
    output = look.run("ssh", "-V")
    if output.status == 127:
        return wrong("ssh is not installed", "Install OpenSSH's client (Debian: `apt install openssh-client`).")
    return fine((output.err or output.out).split(",")[0].strip())


def other_builders(look: Look) -> Verdict:
    """Ports and memory that several builders of this user want at once."""
    found = look.fact("builders", lambda: _builders(look.case))
    clashes = [f"{one} and {two}" for i, (one, p, _) in enumerate(found) for two, q, _ in found[i + 1 :] if p == q]
    if clashes:
        return wrong(
            f"the same port is wanted by {', '.join(clashes)}", "Give each its own `port` in its configuration."
        )
    total, _ = look.fact("memory", _memory)
    wanted = sum(size for _, _, size in found)
    if len(found) > 1 and wanted > total:
        return wrong(
            f"{len(found)} builders may take {format_size(wanted)} together, and there are {format_size(total)}"
        )
    return fine(f"{len(found)} of yours" if len(found) != 1 else "this one alone")


def _builders(case: Case) -> list[tuple[str, int, int]]:
    from ..config import Host, load
    from ..config_file import builders_in
    from ..state import builders

    names = {case.builder, *builders(paths.state_root()), *builders_in(paths.config_root())}
    found = []
    for name in sorted(names):
        try:
            config = case.config if name == case.builder else load(paths.BuilderPaths(name).config, {}, Host.this())
        except SnowshedError:
            continue
        if config is not None:
            found.append((name, config.port, config.memory // MIB * MIB))
    return found


CHECKS = (
    Check("configuration", "configuration", configuration, "`snowshed config check` says more.", fatal=True),
    Check("driver", "what runs the machine", driver, fatal=True, after="configuration"),
    Check("accelerator", "what executes the guest", accelerator, after="driver"),
    Check("qemu", "version of QEMU", qemu),
    Check("image", "image", image, fatal=True, after="configuration"),
    Check("openssh", "OpenSSH", openssh, fatal=True),
    Check(
        "state",
        "state directory",
        state_directory,
        "Choose another place: --state-dir, or XDG_DATA_HOME; on a system, /var/lib.",
    ),
    Check(
        "space",
        "disk space",
        space,
        "Free some: `snowshed gc` gives back what builds no longer need, `snowshed image rm` old images.",
        fatal=True,
    ),
    Check("memory", "memory", memory),
    Check("files", "open files", files, "Raise it: `ulimit -n 4096`, or LimitNOFILE= of the service."),
    Check("port", "port", port, fatal=True),
    Check("builders", "other builders", other_builders),
)
