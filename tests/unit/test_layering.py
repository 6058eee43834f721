"""The rules of the layout, read off the imports: who may know whom."""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path

import pytest

SOURCE = Path(__file__).parents[2] / "src" / "snowshed"
MODULES = sorted(SOURCE.rglob("*.py"))
LONGEST_FILE = 400
LONGEST_FUNCTION = 50


def dotted(path: Path) -> str:
    parts = path.relative_to(SOURCE.parent).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def imports(path: Path) -> set[str]:
    """Absolute names of all that a module imports, at its top or anywhere else."""
    name = dotted(path)
    package = name.split(".") if path.name == "__init__.py" else name.split(".")[:-1]
    found: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            found.update(alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            base = package[: len(package) - node.level + 1] if node.level else []
            module = ".".join([*base, *([node.module] if node.module else [])])
            found.add(module)
            found.update(f"{module}.{alias.name}" for alias in node.names)
    return found


def reaches(path: Path, *targets: str) -> set[str]:
    return {name for name in imports(path) if any(name == t or name.startswith(t + ".") for t in targets)}


def within(folder: str) -> list[Path]:
    found = [path for path in MODULES if path.is_relative_to(SOURCE / folder)]
    assert found, f"{folder} holds no module: this test would show nothing"
    return found


@pytest.mark.parametrize("path", [*within("model"), SOURCE / "units.py", SOURCE / "errors.py"], ids=dotted)
def test_the_pure_core_imports_only_itself(path: Path) -> None:
    ours = {name for name in imports(path) if name.split(".")[0] == "snowshed"}
    allowed = ("snowshed.model", "snowshed.units", "snowshed.errors", "snowshed.PROTOCOL")
    assert {name for name in ours if not name.startswith(allowed) and name != "snowshed"} == set()


@pytest.mark.parametrize("path", within("cli"), ids=dotted)
def test_the_command_line_knows_neither_supervisor_nor_drivers(path: Path) -> None:
    assert reaches(path, "snowshed.supervisor", "snowshed.drivers") == set()


@pytest.mark.parametrize("path", within("supervisor"), ids=dotted)
def test_the_supervisor_knows_drivers_by_their_seam(path: Path) -> None:
    found = reaches(path, "snowshed.drivers") - {"snowshed.drivers"}
    assert {
        name for name in found if not name.startswith(("snowshed.drivers.base", "snowshed.drivers.registry"))
    } == set()


STARTERS = (SOURCE / "process.py", SOURCE / "child.py")


@pytest.mark.parametrize("path", [p for p in MODULES if p not in STARTERS], ids=dotted)
def test_only_process_and_child_start_processes(path: Path) -> None:
    assert reaches(path, "subprocess", "multiprocessing") == set()
    text = path.read_text()
    assert not any(call in text for call in ("create_subprocess", "os.exec", "os.fork", "os.posix_spawn", "os.system"))


@pytest.mark.parametrize("path", [p for p in MODULES if p != SOURCE / "drivers/vz/helper.py"], ids=dotted)
def test_only_the_vz_helper_imports_pyobjc(path: Path) -> None:
    assert reaches(path, "objc", "Foundation", "Virtualization", "libdispatch", "dispatch") == set()


@pytest.mark.parametrize("path", MODULES, ids=dotted)
def test_files_and_functions_stay_short(path: Path) -> None:
    text = path.read_text()
    assert text.count("\n") <= LONGEST_FILE
    functions = [n for n in ast.walk(ast.parse(text)) if isinstance(n, ast.FunctionDef | ast.AsyncFunctionDef)]
    assert [f.name for f in functions if (f.end_lineno or 0) - f.lineno >= LONGEST_FUNCTION] == []


@pytest.mark.parametrize(
    "path", [p for p in MODULES if p.name != "__main__.py" and p != SOURCE / "drivers/vz/helper.py"], ids=dotted
)
def test_imports_have_no_side_effects(path: Path, tmp_path: Path) -> None:
    """In an empty home, importing a module prints nothing and writes nothing."""
    done = subprocess.run(
        [sys.executable, "-B", "-c", f"import {dotted(path)}"],
        env={"HOME": str(tmp_path), "PATH": "/nonexistent", "PYTHONPATH": str(SOURCE.parent)},
        capture_output=True,
        cwd=tmp_path,
    )
    assert (done.returncode, done.stdout, done.stderr, list(tmp_path.iterdir())) == (0, b"", b"", [])
