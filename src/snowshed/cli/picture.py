"""Pictures of what a terminal would show, as SVG."""

from __future__ import annotations

import io
import re
from pathlib import Path

from rich.console import Console

WIDTH = 100
FONTS = "'SFMono-Regular', Menlo, Consolas, 'DejaVu Sans Mono', monospace"
"""Of whoever looks at it: a picture fetches nothing."""


def drawing(*, height: int = 40) -> Console:
    """A console to draw on, instead of a terminal."""
    return Console(
        record=True, width=WIDTH, height=height, file=io.StringIO(), force_terminal=True, color_system="truecolor"
    )


def save(console: Console, file: Path, title: str) -> None:
    """Write what was drawn into `file`, the same bytes for the same picture. Raises `OSError`."""
    svg = console.export_svg(title=title, unique_id="snowshed")
    svg = svg.replace("<svg ", '<svg xml:space="preserve" ', 1)  # some who draw it swallow blanks otherwise
    svg = re.sub(r"@font-face \{.*?\}\s*", "", svg, flags=re.DOTALL)
    svg = re.sub(r"font-family: ?[^;\n]+;?", f"font-family: {FONTS};", svg)
    file.write_text("\n".join(line.rstrip() for line in svg.splitlines()) + "\n", encoding="utf-8")
