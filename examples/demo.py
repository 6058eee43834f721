"""`make demo`: a Linux builder from nothing, and two builds on it that this machine cannot do itself.

Makes the image of a guest of the *other* processor architecture, starts a builder from it, and lets this machine's
Nix build there: first a derivation whose output is the guest's `uname -a`, then `hello-c`, a C program compiled in
the guest's sandbox by a Debian toolchain that is copied in as ordinary inputs. Nix has a store of its own in a
temporary directory, so that this needs neither /nix nor root; nothing is left running, whatever happens.
"""

from __future__ import annotations

import json
import os
import platform
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from snowshed.errors import SnowshedError
from snowshed.images.apt import PrivateApt
from snowshed.model.machine import Arch, arch_of_machine

EXAMPLES = Path(__file__).resolve().parent
SNOWSHED = str(Path(sys.executable).with_name("snowshed"))
TOOLCHAIN = ("binutils", "gcc", "libc6-dev")
FILE_SAYS = {Arch.AARCH64: "ARM aarch64", Arch.X86_64: "x86-64"}


class Failed(Exception):
    """A step went wrong; the text says which, what was said is on the screen already."""


class Demo:
    """One run, in a temporary directory."""

    def __init__(self, folder: Path, arch: Arch) -> None:
        self.folder = folder
        self.arch = arch
        self.took: list[tuple[str, float]] = []
        self.builder = ["--builder", "demo", "--state-dir", str(folder / "builder")]

    @contextmanager
    def step(self, title: str, short: str) -> Iterator[None]:
        print(f"\n== {title}", flush=True)
        began = time.monotonic()
        yield
        self.took.append((short, time.monotonic() - began))

    def snowshed(self, verb: str, *words: str) -> None:
        is_image = verb == "image"
        command = [SNOWSHED, verb, *(() if is_image else self.builder), *words]
        show(["snowshed", verb, *(() if is_image else ("-b", "demo")), *words])
        if subprocess.call(command) != 0:
            raise Failed(f"`snowshed {verb}` failed.")

    def start(self) -> None:
        """Restricted: everything comes from this machine, and the guest's Nix asks no cache in vain."""
        port = str(free_port())
        options = ["--port", port, "--memory", "2GiB", "--network", "restricted"]
        self.snowshed("start", "--system", self.arch.nix_system, *options)

    def tell_nix(self) -> None:
        """What `snowshed machines` prints goes into a machines file, and that into a configuration of our own."""
        done = subprocess.run([SNOWSHED, "machines", *self.builder], capture_output=True, text=True)
        if done.returncode != 0:
            raise Failed(f"`snowshed machines` failed: {done.stderr}")
        print(done.stdout, end="")
        (self.folder / "machines").write_text(done.stdout)
        (self.folder / "nix.conf").write_text(
            f"builders = @{self.folder}/machines\nmax-jobs = 0\nbuild-users-group =\nsubstitute = false\n"
        )

    def build(self, expression: Path, *arguments: str) -> Path:
        """Build with this machine's Nix and return where the result lies in our store."""
        command = ["nix-build", str(expression), "--no-out-link", "--argstr", "system", self.arch.nix_system]
        command += arguments
        show(command)
        environment = {
            "HOME": str(self.folder),
            "PATH": os.environ["PATH"],
            "NIX_CONF_DIR": str(self.folder),
            "NIX_REMOTE": f"local?root={self.folder}/store",
            "NIX_SSHOPTS": f"-F {self.folder}/builder/ssh/config",
        }
        with subprocess.Popen(
            command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
        ) as child:
            assert child.stdout is not None
            assert child.stderr is not None
            narrate(child.stderr)
            answer = child.stdout.read().strip()
        if child.returncode != 0:
            raise Failed("nix-build failed.")
        return Path(f"{self.folder}/store{answer}")

    def toolchain(self) -> Path:
        """The packages of a C toolchain for the guest, downloaded; a JSON list of them for `hello-c`."""
        apt = PrivateApt(self.arch)
        apt.update()
        packages = apt.resolve(TOOLCHAIN)
        files = apt.download(packages)
        size = sum(package.size for package in packages)
        print(f"{len(packages)} packages, {size / 1e6:.0f} MB")
        listing = [
            {"name": f"{package.name}.deb", "path": str(file), "sha256": package.sha256}
            for package, file in zip(packages, files, strict=True)
        ]
        listed = self.folder / "toolchain.json"
        listed.write_text(json.dumps(listing))
        return listed

    def run(self) -> None:
        with self.step(f"An image for {self.arch.nix_system}", "image"):
            self.snowshed("image", "build", "--system", self.arch.nix_system)
        with self.step("A builder from it", "start"):
            self.start()
        with self.step("Nix is told of it", "machines"):
            self.tell_nix()
        with self.step("A build that says where it ran", "uname"):
            result = self.build(EXAMPLES / "uname.nix")
            print(f"  {result.read_text().strip()}")
        with self.step("A C toolchain for the guest", "toolchain"):
            packages = self.toolchain()
        with self.step("A C program, compiled in the guest's sandbox", "hello-c"):
            result = self.build(EXAMPLES / "hello-c", "--argstr", "packages", str(packages))
            self.check(result)

    def check(self, result: Path) -> None:
        """The result is here, says what it should, and is a program for the guest and not for us."""
        hello = result / "bin" / "hello"
        says = subprocess.run(["file", "--brief", hello], capture_output=True, text=True, check=True).stdout.strip()
        print(f"  {(result / 'greeting').read_text().strip()}\n  {hello.relative_to(self.folder)}: {says}")
        if FILE_SAYS[self.arch] not in says:
            raise Failed(f"That is not a program for {self.arch.nix_system}.")

    def explain(self) -> None:
        """What the builder has to say about a step that failed."""
        for words in (["status"], ["logs", "-n", "20"], ["logs", "--console", "-n", "20"]):
            show(["snowshed", *words, "-b", "demo"])
            subprocess.call([SNOWSHED, *words, *self.builder])

    def clean_up(self) -> None:
        """Not to be interrupted: nothing of us stays, running or on the disk, but the image and the packages."""
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        end_children()
        subprocess.call([SNOWSHED, "destroy", *self.builder, "--yes"])
        for folder in [self.folder, *(path for path in self.folder.rglob("*") if path.is_dir())]:
            if not folder.is_symlink():
                folder.chmod(0o700)
        shutil.rmtree(self.folder, ignore_errors=True)


def end_children() -> None:
    """Interrupt the children that still run, and wait for them.

    Ctrl-C between a child's start and `Popen`'s return leaves a child that no variable knows, so the kernel is asked
    (proc(5), `children`). What it was starting must have come to its end before anybody destroys it.
    """
    for task in Path("/proc/self/task").iterdir():
        for pid in (task / "children").read_text().split():
            os.kill(int(pid), signal.SIGINT)
    with suppress(ChildProcessError):
        while True:
            os.wait()


def narrate(stderr: Iterable[str]) -> None:
    """Show what Nix and the build say, but of copying only how many paths were copied."""
    copied = 0
    for line in stderr:
        if line.startswith("copying path"):
            copied += 1
        else:
            if copied:
                print(f"  {copied} path{'' if copied == 1 else 's'} copied", flush=True)
                copied = 0
            print(f"  {line.strip()}", flush=True)


def show(command: list[str]) -> None:
    print(f"$ {' '.join(command)}", flush=True)


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def other_arch() -> Arch:
    """The architecture that this machine has not."""
    return Arch.X86_64 if arch_of_machine(platform.machine()) is Arch.AARCH64 else Arch.AARCH64


def terminated(_number: int, _frame: object) -> None:
    raise KeyboardInterrupt


def main() -> int:
    signal.signal(signal.SIGTERM, terminated)
    demo = Demo(Path(tempfile.mkdtemp(prefix="snowshed-demo-")), other_arch())
    print(f"This machine is {platform.machine()}; it will build for {demo.arch.nix_system}.")
    try:
        demo.run()
    except (Failed, SnowshedError) as error:
        print(f"\ndemo: {error}", file=sys.stderr, flush=True)
        demo.explain()
        return 1
    except KeyboardInterrupt:
        print("\ndemo: interrupted.", file=sys.stderr)
        return 130
    finally:
        print("\n== Everything away again", flush=True)
        demo.clean_up()
    print("\nIt took, in seconds: " + ", ".join(f"{name} {seconds:.1f}" for name, seconds in demo.took) + ".")
    print("\nNow for real:\n  .venv/bin/snowshed start\n  .venv/bin/snowshed machines")
    return 0


if __name__ == "__main__":
    sys.exit(main())
