"""Boxes and arrows as SVG: what the documentation's pictures are drawn with. No dependency, no layout of its own.

Colours are the page's (`currentColor`), so that a picture fits a light and a dark page alike.
"""

from __future__ import annotations

from dataclasses import dataclass
from html import escape

Point = tuple[float, float]


@dataclass(frozen=True)
class Box:
    """A box around a centre, with one line of text or several. `soft` boxes are drawn with broken lines."""

    x: float
    y: float
    text: str
    width: float = 112
    height: float = 36
    soft: bool = False

    def svg(self) -> str:
        dashes = ' stroke-dasharray="5 4"' if self.soft else ""
        left, top = self.x - self.width / 2, self.y - self.height / 2
        shape = f'<rect x="{left:g}" y="{top:g}" width="{self.width:g}" height="{self.height:g}" rx="6"{dashes}/>'
        return shape + words(self.x, self.y, self.text, "box")

    def holds(self, point: Point) -> bool:
        return abs(point[0] - self.x) <= self.width / 2 and abs(point[1] - self.y) <= self.height / 2


@dataclass(frozen=True)
class Arrow:
    """An arrow from box to box, bent to its left by `bend`, or towards `via`; `at` says where its text stands."""

    start: Box
    end: Box
    text: str = ""
    bend: float = 0
    at: float = 0.5
    via: Point | None = None

    def svg(self) -> str:
        a, b = (self.start.x, self.start.y), (self.end.x, self.end.y)
        dx, dy = b[0] - a[0], b[1] - a[1]
        length = max(1.0, (dx * dx + dy * dy) ** 0.5)
        aside = ((a[0] + b[0]) / 2 + self.bend * dy / length, (a[1] + b[1]) / 2 - self.bend * dx / length)
        middle = self.via or aside
        steps = [_on_curve(a, middle, b, i / 100) for i in range(101)]
        outside = [point for point in steps if not self.start.holds(point) and not self.end.holds(point)]
        line = f'<path d="M{outside[0][0]:.1f} {outside[0][1]:.1f} Q{_control(a, middle, b, outside)} '
        line += f'{outside[-1][0]:.1f} {outside[-1][1]:.1f}" marker-end="url(#head)"/>'
        return line + (words(*_on_curve(a, middle, b, self.at), self.text, "arrow") if self.text else "")


def _on_curve(a: Point, c: Point, b: Point, t: float) -> Point:
    first, second, third = (1 - t) ** 2, 2 * t * (1 - t), t * t
    return (first * a[0] + second * c[0] + third * b[0], first * a[1] + second * c[1] + third * b[1])


def _control(a: Point, c: Point, b: Point, outside: list[Point]) -> str:
    """The control point of the part of the curve that is drawn: so that it passes the curve's own middle."""
    start, end = outside[0], outside[-1]
    through = outside[len(outside) // 2]
    x, y = (2 * through[i] - (start[i] + end[i]) / 2 for i in (0, 1))
    return f"{x:.1f} {y:.1f}"


def words(x: float, y: float, text: str, kind: str) -> str:
    """Lines of text around a centre; those on arrows stand on a ground of the page's colour."""
    lines = text.split("\n")
    top = y + 4.5 - (len(lines) - 1) * 8  # text stands on its base line
    spans = "".join(f'<tspan x="{x:.1f}" y="{top + 16 * i:.1f}">{escape(line)}</tspan>' for i, line in enumerate(lines))
    return f'<text class="{kind}">{spans}</text>'


def draw(title: str, width: int, height: int, parts: list[Box | Arrow]) -> str:
    """The picture on one line, as Markdown wants it: a line that is blank would end it."""
    head = (
        '<marker id="head" viewBox="0 0 8 8" refX="7" refY="4" markerWidth="7" markerHeight="7" orient="auto">'
        '<path class="tip" d="M0 0L8 4L0 8z"/></marker>'
    )
    style = (
        "<style>.picture{max-width:100%;height:auto;color:inherit}.picture rect,.picture path{fill:none;"
        "stroke:currentColor;stroke-width:1.3}.picture .tip{fill:currentColor;stroke:none}.picture text{fill:"
        "currentColor;text-anchor:middle;font:13px sans-serif}.picture text.arrow{font-size:11.5px;paint-order:stroke;"
        "stroke:var(--md-default-bg-color,#fff);stroke-width:5px}.picture text.box{font-weight:600}</style>"
    )
    arrows_first = sorted(parts, key=lambda part: isinstance(part, Box))
    inside = "".join(part.svg() for part in arrows_first)
    return (
        f'<svg class="picture" role="img" aria-label="{escape(title)}" viewBox="0 0 {width} {height}" '
        f'width="{width}" height="{height}" xmlns="http://www.w3.org/2000/svg"><title>{escape(title)}</title>'
        f"{style}<defs>{head}</defs>{inside}</svg>"
    )
