"""What MkDocs does besides: pages that are made from the program, and pictures in the places that name them.

MkDocs loads this file by its path (`hooks` in mkdocs.yml) and calls the functions that it knows by name.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from mkdocs.exceptions import PluginError
from mkdocs.structure.files import File

ROOT = Path(__file__).parents[2]
sys.path.insert(0, str(ROOT / "scripts"))

from docsite import commands, imports, pictures, settings  # noqa: E402

PAGES: dict[str, Callable[[], str]] = {
    "commands.md": commands.page,
    "settings.md": settings.page,
    "changelog.md": lambda: (ROOT / "CHANGELOG.md").read_text(),
    "contributing.md": lambda: (ROOT / "CONTRIBUTING.md").read_text(),
}
PLACES: dict[str, Callable[[], str]] = {
    "lifecycle": pictures.lifecycle,
    "lifecycle-table": pictures.table,
    "processes": pictures.processes,
    "imports": imports.table,
}
_PLACE = re.compile(r"^<!-- picture: ([a-z-]+) -->$", re.MULTILINE)
_ELSEWHERE = re.compile(r"<(?:script|img|iframe|link)\b[^>]*\b(?:src|href)=[\"']?(?:https?:)?//[^>]*>")
_MERMAID = re.compile(r"^```mermaid\n.*?^```$", re.MULTILINE | re.DOTALL)


def on_files(files: Any, config: Any) -> Any:
    """Add the pages that are made from the program."""
    for path, write in PAGES.items():
        files.append(File.generated(config, path, content=write()))
    return files


def on_page_markdown(markdown: str, **_: Any) -> str:
    """Put pictures where a page names them. A Mermaid diagram is for GitHub: here it would need a download."""
    markdown = _MERMAID.sub("", markdown)
    return _PLACE.sub(lambda found: PLACES[found[1]](), markdown)


def on_post_page(output: str, page: Any, **_: Any) -> str:
    """Refuse what a reader without a network would miss: scripts, styles, fonts, pictures from elsewhere."""
    if found := _ELSEWHERE.search(output):
        raise PluginError(f"{page.file.src_uri} loads something from elsewhere: {found[0]}")
    return output
