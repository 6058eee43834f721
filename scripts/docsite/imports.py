"""Who imports whom, read from the imports themselves."""

from __future__ import annotations

import ast
from pathlib import Path

SOURCE = Path(__file__).parents[2] / "src/snowshed"


def packages() -> list[str]:
    return sorted(folder.name for folder in SOURCE.iterdir() if (folder / "__init__.py").exists())


def imports() -> dict[str, set[str]]:
    """For each package, the packages of ours that something in it imports."""
    names = packages()
    return {name: (_seen(SOURCE / name) - {name}) & set(names) for name in names}


def _seen(folder: Path) -> set[str]:
    found = set()
    for file in folder.rglob("*.py"):
        depth = len(file.relative_to(SOURCE).parts) - 1
        for node in ast.walk(ast.parse(file.read_text())):
            if isinstance(node, ast.ImportFrom) and node.level == depth + 1:
                found |= {node.module.split(".")[0]} if node.module else {alias.name for alias in node.names}
    return found


def table() -> str:
    """Rows import columns. The order is such that imports point to the right, as far as that is possible."""
    uses = imports()
    order = sorted(uses, key=lambda name: (-_depth(name, uses, ()), name))
    columns = [name for name in order if any(name in used for used in uses.values())]
    rows = [f"| | {' | '.join(columns)} |", f"|---|{'---|' * len(columns)}"]
    for name in order:
        if uses[name]:
            marks = ["·" if other == name else "●" if other in uses[name] else "" for other in columns]
            rows.append(f"| **{name}** | {' | '.join(marks)} |")
    return "\n".join(rows)


def _depth(name: str, uses: dict[str, set[str]], seen: tuple[str, ...]) -> int:
    return 1 + max((_depth(other, uses, (*seen, name)) for other in uses[name] if other not in seen), default=0)
