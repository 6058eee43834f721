"""Checks of the machine that the configuration asks for: what would run it, what executes it, what it boots from."""

from __future__ import annotations

import os
import shutil
import time
from pathlib import Path
from typing import Any

from .. import paths
from ..config import BuilderConfig
from ..images import freshness
from ..model.machine import EfiBoot, LinuxBoot, MachineSpec
from ..service import installation
from ..units import format_size
from .check import Check, Level, Verdict, fine, note, wrong
from .look import Case, Look

ASKED_LONG_AGO = 30
"""Days after which nobody knows any more whether an image is up to date."""

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


CHECKS = (
    Check("configuration", "configuration", configuration, "`snowshed config check` says more.", fatal=True),
    Check("driver", "what runs the machine", driver, fatal=True, after="configuration"),
    Check("accelerator", "what executes the guest", accelerator, after="driver"),
    Check("qemu", "version of QEMU", qemu),
    Check("image", "image", image, fatal=True, after="configuration"),
)
