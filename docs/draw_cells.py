"""Draws the pictures of docs/cells.md: one step of each cell, and how layers and directions lie in time.

`python docs/draw_cells.py` writes all of them. A picture is 100 units wide and shown about 800 pixels wide.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from io import BytesIO
from itertools import pairwise
from pathlib import Path
from typing import TypeAlias

from matplotlib import style
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Circle, FancyArrowPatch, FancyBboxPatch
from matplotlib.path import Path as Line

from tsforecast.pictures.figure import BANDS, BLUE, FORMATS, INK, MUTED, OTHER_LINES, STYLE
from tsforecast.storage.atomic import write_bytes

FOLDER = Path(__file__).parent / "pictures" / "cells"

Point: TypeAlias = tuple[float, float]

UNIT = 6.0  # points
ACCENT = OTHER_LINES[0][0]  # what a variant has and the plain cell has not
PALE = "#f4f6f8"
GREY = "#e8ebee"
BORDER = "#c3c8ce"
RADIUS = 2.2  # of a circle with a sign in it
LOOK = {
    **STYLE,
    "font.size": 13,
    "svg.fonttype": "path",  # the room around a word is measured for one font
}

# The reservoir as drawn: which units see the input, and which see which.
INPUT_UNITS = (10, 12, 13, 15)
RESERVOIR = [
    (0, 5), (1, 4), (2, 7), (3, 8), (4, 9), (5, 13), (6, 3), (7, 12), (8, 0), (9, 1), (10, 2), (11, 3), (12, 4),
    (13, 10), (14, 6), (15, 2), (10, 15), (0, 3), (6, 1), (4, 14), (14, 9),
]  # fmt: skip

# Heights all gated cells share: what comes in, the gates, what they are multiplied with, the memory line.
IN, GATES, PRODUCTS, BELT, TOP = 12.0, 25.0, 38.0, 50.0, 60.0
INPUT = 14.0  # where x comes in, from the left


@dataclass(frozen=True, slots=True)
class Shape:
    """Something that wires are tied to."""

    x: float
    y: float
    width: float
    height: float

    @property
    def left(self) -> Point:
        return self.x - self.width / 2, self.y

    @property
    def right(self) -> Point:
        return self.x + self.width / 2, self.y

    @property
    def top(self) -> Point:
        return self.x, self.y + self.height / 2

    @property
    def bottom(self) -> Point:
        return self.x, self.y - self.height / 2


# The vocabulary.


def canvas(height: float) -> Axes:
    figure = Figure(figsize=(100 * UNIT / 72, height * UNIT / 72), facecolor="white")
    axes = figure.add_axes((0, 0, 1, 1))
    axes.set(xlim=(0, 100), ylim=(0, height))
    axes.set_axis_off()
    return axes


def say(axes: Axes, at: Point, text: str, *, color: str = INK, size: float = 13, ha: str = "center") -> None:
    text = text.replace("'", "\N{PRIME}")
    axes.text(*at, text, color=color, size=size, ha=ha, va="center", zorder=6)


def note(axes: Axes, at: Point, text: str, *, color: str = MUTED, ha: str = "center") -> None:
    say(axes, at, text, color=color, size=11, ha=ha)


def box(
    axes: Axes,
    at: Point,
    text: str,
    *,
    width: float = 8.0,
    height: float = 6.5,
    fill: str = "white",
    edge: str = MUTED,
    rounding: float = 1.2,
    dashed: bool = False,
    size: float = 13,
) -> Shape:
    """Something with weights in it."""
    shape = Shape(*at, width, height)
    corner = (shape.left[0], shape.bottom[1])
    boxstyle = f"round,pad=0,rounding_size={rounding}"
    patch = FancyBboxPatch(corner, width, height, boxstyle=boxstyle, zorder=4)
    patch.set(facecolor=fill, edgecolor=edge, linewidth=1.5, linestyle=(0, (3, 2)) if dashed else "-")
    axes.add_patch(patch)
    say(axes, at, text, size=size)
    return shape


def gate(axes: Axes, at: Point) -> Shape:
    """σ(W x + R h + b)."""
    return box(axes, at, "σ", fill=BANDS[0], edge=BLUE)


def candidate(axes: Axes, at: Point) -> Shape:
    """tanh(W x + R h + b)."""
    return box(axes, at, "tanh", fill=GREY)


def bare_tanh(axes: Axes, at: Point) -> Shape:
    """The function alone: round, like everything without weights."""
    return box(axes, at, "tanh", height=5.0, edge=INK, rounding=2.5)


def op(axes: Axes, at: Point, sign: str, *, color: str = INK) -> Shape:
    """A circle: ``times`` (element by element), ``plus``, or a short text."""
    x, y = at
    axes.add_patch(Circle(at, RADIUS, facecolor="white", edgecolor=color, linewidth=1.6, zorder=4))
    if sign == "times":
        axes.add_patch(Circle(at, 0.5, color=color, linewidth=0, zorder=5))
    elif sign == "plus":
        for across, up in ((1.1, 0), (0, 1.1)):
            ends = [x - across, x + across], [y - up, y + up]
            axes.plot(*ends, color=color, linewidth=1.6, zorder=5, solid_capstyle="butt")
    else:
        say(axes, at, sign, color=color, size=12)
    return Shape(x, y, 2 * RADIUS, 2 * RADIUS)


def dot(axes: Axes, at: Point, *, color: str = INK) -> None:
    """Where one wire becomes two; wires that only cross have none."""
    axes.add_patch(Circle(at, 0.65, color=color, linewidth=0, zorder=5))


def wire(
    axes: Axes,
    *points: Point,
    color: str = INK,
    width: float = 1.6,
    arrow: bool = True,
    dashed: bool = False,
) -> None:
    """A line through the points, rounded at corners."""
    head = "-|>,head_length=0.55,head_width=0.24" if arrow else "-"
    line = FancyArrowPatch(path=_rounded(points), arrowstyle=head, mutation_scale=11 + width, zorder=3)
    line.set(color=color, linewidth=width, linestyle=(0, (3, 2)) if dashed else "-", joinstyle="miter")
    axes.add_patch(line)


def belt(axes: Axes, *stops: Point) -> None:
    """The memory line, from stop to stop."""
    for start, end in zip(stops[::2], stops[1::2], strict=True):
        wire(axes, start, end, color=BLUE, width=3.6)


def zone(axes: Axes, left: float, right: float, text: str, *, bottom: float = 17, top: float = 59.4) -> None:
    """A part of the picture, and what it is for."""
    size = right - left, top - bottom
    patch = FancyBboxPatch((left, bottom), *size, boxstyle="round,pad=0,rounding_size=1.5", zorder=1)
    patch.set(facecolor=PALE, edgecolor="none")
    axes.add_patch(patch)
    note(axes, ((left + right) / 2, top - 2.6), text)


def _rounded(points: tuple[Point, ...], radius: float = 1.2) -> Line:
    vertices, codes = [points[0]], [Line.MOVETO]
    for before, corner, after in zip(points, points[1:], points[2:], strict=False):
        vertices += [_towards(corner, before, radius), corner, _towards(corner, after, radius)]
        codes += [Line.LINETO, Line.CURVE3, Line.CURVE3]
    return Line([*vertices, points[-1]], [*codes, Line.LINETO])


def _towards(start: Point, end: Point, distance: float) -> Point:
    share = min(distance / math.dist(start, end), 0.5)
    return start[0] + share * (end[0] - start[0]), start[1] + share * (end[1] - start[1])


# One step of each cell.


def rnn() -> Axes:
    axes = canvas(48)
    y = 24.0
    zone(axes, 16, 72, "one box σ or tanh of the other drawings", bottom=6, top=39)
    recurrent, inputs = box(axes, (27, y), "R h"), box(axes, (44, 12.5), "W x")
    total, out = op(axes, (44, y), "plus"), bare_tanh(axes, (61, y))
    say(axes, (2.5, y), "h")
    say(axes, (44, 2.2), "x")
    say(axes, (34.5, 31), "b")
    say(axes, (97, y), "h'")
    wire(axes, (5, y), recurrent.left)
    wire(axes, recurrent.right, total.left)
    wire(axes, (44, 4.2), inputs.bottom)
    wire(axes, inputs.top, total.bottom)
    wire(axes, (36, 31), (44, 31), total.top)
    wire(axes, total.right, out.left)
    wire(axes, out.right, (94.5, y))
    dot(axes, (84, y), color=MUTED)
    wire(axes, (84, y), (84, 42.5), (9, 42.5), (9, y), color=MUTED, dashed=True)
    note(axes, (46.5, 45.4), "one step later, h' is h")
    return axes


def leaky_rnn() -> Axes:
    axes = canvas(TOP)
    zone(axes, 20, 51, "keep a share")
    zone(axes, 52, 72, "replace the rest")
    keep, add = op(axes, (30, BELT), "times"), op(axes, (62, BELT), "plus")
    rest, product = op(axes, (30, PRODUCTS), "1−"), op(axes, (62, PRODUCTS), "times")
    leak = box(axes, (44, GATES), "α", dashed=True)
    n = candidate(axes, (62, GATES))
    _memory_line(axes, "h", keep, add)
    _tapped_bus(axes, n)
    wire(axes, leak.top, (leak.x, PRODUCTS), arrow=False)
    dot(axes, (leak.x, PRODUCTS))
    wire(axes, (leak.x, PRODUCTS), rest.right)
    wire(axes, (leak.x, PRODUCTS), product.left)
    wire(axes, rest.top, keep.bottom)
    wire(axes, n.top, product.bottom)
    wire(axes, product.top, add.bottom)
    _name(axes, n, "n")
    note(axes, (75, GATES + 3.4), "α: one number per unit,", ha="left")
    note(axes, (75, GATES), "the same at each step;", ha="left")
    note(axes, (75, GATES - 3.4), "it sees neither x nor h", ha="left")
    return axes


def esn() -> Axes:
    axes = canvas(52)
    middle, size = (27.0, 26.0), 16.0
    axes.add_patch(Circle(middle, size + 3, facecolor=PALE, edgecolor=BORDER, linewidth=1.2, zorder=1))
    turn = math.pi * (3 - math.sqrt(5))  # the golden angle spreads points evenly over a disc
    units = [
        (
            middle[0] + size * math.sqrt((k + 0.5) / 16) * math.cos(k * turn),
            middle[1] + size * math.sqrt((k + 0.5) / 16) * math.sin(k * turn),
        )
        for k in range(16)
    ]
    for start, end in RESERVOIR:
        _thin_arrow(axes, units[start], units[end], color="#8d959e")
    for unit in INPUT_UNITS:
        _thin_arrow(axes, (middle[0], 4.4), units[unit], color=INK, bend=0)
    for unit in units:
        axes.add_patch(Circle(unit, 1.15, facecolor="white", edgecolor=INK, linewidth=1.3, zorder=4))
    say(axes, (middle[0], 2.2), "x")
    readout = box(axes, (69, 26), "readout", width=13, fill=BANDS[0], edge=BLUE)
    add = op(axes, (85, 26), "plus")
    wire(axes, (middle[0] + size + 3, 26), readout.left)
    say(axes, (55.5, 28.8), "h'")
    wire(axes, readout.right, add.left)
    for x, name, reader in ((69, "values", readout), (85, "base", add)):
        say(axes, (x, 13), name)
        wire(axes, (x, 15.3), reader.bottom)
    wire(axes, add.right, (94, 26))
    say(axes, (97, 26), "ŷ")
    note(axes, (middle[0], 49), "reservoir: drawn once, never trained")
    note(axes, (69, 33), "fitted by ridge regression", color=BLUE)
    return axes


def lstm() -> Axes:
    axes, *_ = _lstm_with_forget_gate()
    return axes


def lstm_peephole() -> Axes:
    axes, f, i, o = _lstm_with_forget_gate()
    look = {"color": ACCENT, "dashed": True}
    old, new = 12.0, 58.5
    dot(axes, (old, BELT), color=ACCENT)
    dot(axes, (new, BELT), color=ACCENT)
    wire(axes, (old, BELT), (old, GATES), f.left, **look)
    dot(axes, (old, 33), color=ACCENT)
    wire(axes, (old, 33), (29.5, 33), (29.5, GATES), i.left, **look)
    wire(axes, (new, BELT), (new, GATES), o.left, **look)
    note(axes, (old - 1, 41), "p ⊙ c", color=ACCENT, ha="right")
    note(axes, (new + 1, 42), "p ⊙ c'", color=ACCENT, ha="left")
    return axes


def lstm_coupled() -> Axes:
    axes = _lstm_zones()
    i = gate(axes, (36, GATES))
    forget, product, _ = _lstm_body(axes, i)
    rest = op(axes, (23, PRODUCTS), "1−", color=ACCENT)
    wire(axes, i.top, (i.x, PRODUCTS), arrow=False)
    wire(axes, (i.x, PRODUCTS), product.left)
    wire(axes, (i.x, PRODUCTS), rest.right, color=ACCENT)
    dot(axes, (i.x, PRODUCTS), color=ACCENT)
    wire(axes, rest.top, forget.bottom, color=ACCENT)
    say(axes, (21.2, 44), "f", color=ACCENT)
    return axes


def gru() -> Axes:
    axes, total = _gru_body(x_reset=38)
    product = op(axes, (38, PRODUCTS), "times", color=ACCENT)
    recurrent = box(axes, (23, PRODUCTS), "R h + b", width=13)
    wire(axes, (9, PRODUCTS), recurrent.left)
    wire(axes, recurrent.right, product.left)
    wire(axes, product.right, total.left)
    return axes


def gru_before() -> Axes:
    axes, total = _gru_body(x_reset=18)
    product = op(axes, (18, PRODUCTS), "times", color=ACCENT)
    recurrent = box(axes, (33.5, PRODUCTS), "R (r ⊙ h) + b", width=19)
    wire(axes, (9, PRODUCTS), product.left)
    wire(axes, product.right, recurrent.left)
    wire(axes, recurrent.right, total.left)
    return axes


def _lstm_with_forget_gate() -> tuple[Axes, Shape, Shape, Shape]:
    """The picture, and its gates f, i and o."""
    axes = _lstm_zones()
    f, i = gate(axes, (23, GATES)), gate(axes, (36, GATES))
    forget, product, o = _lstm_body(axes, f, i)
    wire(axes, f.top, forget.bottom)
    wire(axes, i.top, (i.x, PRODUCTS), product.left)
    _name(axes, f, "f")
    return axes, f, i, o


def _lstm_zones() -> Axes:
    axes = canvas(TOP)
    zone(axes, 16, 30, "erase")
    zone(axes, 31, 55, "write")
    zone(axes, 56, 88, "show")
    return axes


def _lstm_body(axes: Axes, *gates: Shape) -> tuple[Shape, Shape, Shape]:
    """All but what makes f and i, which is given; returns what f and what i are multiplied with, and gate o."""
    forget, write = op(axes, (23, BELT), "times"), op(axes, (49, BELT), "plus")
    product, show = op(axes, (49, PRODUCTS), "times"), op(axes, (80, 32.5), "times")
    g, o = candidate(axes, (49, GATES)), gate(axes, (66, GATES))
    bounded = bare_tanh(axes, (80, 41.5))
    _memory_line(axes, "c", forget, write)
    say(axes, (2.5, IN), "h")
    wire(axes, (5, IN), (INPUT, IN), arrow=False)
    _bus(axes, *gates, g, o)
    wire(axes, g.top, product.bottom)
    wire(axes, product.top, write.bottom)
    dot(axes, (80, BELT), color=BLUE)
    wire(axes, (80, BELT), bounded.top)
    wire(axes, bounded.bottom, show.top)
    wire(axes, o.top, (o.x, show.y), show.left)
    wire(axes, show.bottom, (80, IN), (94.5, IN))
    say(axes, (97, IN), "h'")
    _name(axes, gates[-1], "i")
    _name(axes, g, "g")
    _name(axes, o, "o")
    return forget, product, o


def _gru_body(*, x_reset: float) -> tuple[Axes, Shape]:
    """All but the way from h to the sum that the candidate is made of, which is returned."""
    axes = canvas(TOP)
    zone(axes, 11, 67, "propose")
    zone(axes, 68, 91, "keep or replace")
    r, z = gate(axes, (x_reset, GATES)), gate(axes, (73, GATES))
    inputs = box(axes, (51, GATES), "W x + b", width=13)
    total, n = op(axes, (51, PRODUCTS), "plus"), bare_tanh(axes, (61, PRODUCTS))
    keep, add = op(axes, (73, BELT), "times"), op(axes, (86, BELT), "plus")
    rest, product = op(axes, (79, 31), "1−"), op(axes, (79, PRODUCTS), "times")
    _memory_line(axes, "h", keep, add)
    dot(axes, (9, PRODUCTS))
    _tapped_bus(axes, r, z)
    dot(axes, (INPUT, 7))
    wire(axes, (INPUT, 7), (51, 7), inputs.bottom)
    wire(axes, inputs.top, total.bottom)
    wire(axes, total.right, n.left)
    wire(axes, n.right, product.left)
    wire(axes, z.top, keep.bottom)
    dot(axes, (73, 31))
    wire(axes, (73, 31), rest.left)
    wire(axes, rest.top, product.bottom)
    wire(axes, product.right, (86, PRODUCTS), add.bottom)
    wire(axes, r.top, (x_reset, PRODUCTS - RADIUS), color=ACCENT)
    _name(axes, r, "r")
    say(axes, (71.2, 33), "z", color=BLUE)
    say(axes, (70.4, 40.2), "n", color=BLUE)
    return axes, total


def _memory_line(axes: Axes, name: str, first: Shape, second: Shape) -> None:
    say(axes, (2.5, BELT), name)
    belt(axes, (5, BELT), first.left, first.right, second.left, second.right, (94.5, BELT))
    say(axes, (97, BELT), f"{name}'")


def _bus(axes: Axes, *readers: Shape) -> None:
    """The input comes from below and joins h; both go into each reader."""
    note(axes, (readers[-1].x - 6, IN - 2.2), "x, h")
    say(axes, (INPUT, 2.6), "x")
    wire(axes, (INPUT, 4.6), (INPUT, IN), arrow=False)
    dot(axes, (INPUT, IN))
    *between, last = readers
    wire(axes, (INPUT, IN), (last.x, IN), last.bottom)
    for reader in between:
        dot(axes, (reader.x, IN))
        wire(axes, (reader.x, IN), reader.bottom)


def _tapped_bus(axes: Axes, *readers: Shape) -> None:
    """The same where h is the memory line itself."""
    dot(axes, (9, BELT), color=BLUE)
    wire(axes, (9, BELT), (9, IN), (INPUT, IN), arrow=False)
    _bus(axes, *readers)


def _name(axes: Axes, shape: Shape, name: str) -> None:
    """Names what leaves a gate at its top."""
    say(axes, (shape.x - 1.8, shape.top[1] + 2), name, color=BLUE)


def _thin_arrow(axes: Axes, start: Point, end: Point, *, color: str, bend: float = 0.18) -> None:
    look = {
        "arrowstyle": "-|>,head_length=0.4,head_width=0.18",
        "mutation_scale": 9,
        "shrinkA": 0,
        "shrinkB": 8,
    }
    patch = FancyArrowPatch(start, end, connectionstyle=f"arc3,rad={bend}", zorder=2, **look)
    patch.set(color=color, linewidth=1.0)
    axes.add_patch(patch)


# Layers and directions in time.


def stacked() -> Axes:
    axes = canvas(TOP)
    zone(axes, 3, 47, "lookback: read once", bottom=1)
    zone(axes, 54, 98, "horizon: reads its own output", bottom=1)
    columns = [11.0, 25.0, 39.0, 62.0, 76.0, 90.0]
    lower = [box(axes, (x, 16), "layer 1", width=8.5, size=11) for x in columns]
    upper = [box(axes, (x, 28), "layer 2", width=8.5, size=11) for x in columns]
    heads = [box(axes, (x, 40), "head", width=8.5, size=11, fill=BANDS[0], edge=BLUE) for x in columns[2:]]
    for layer in (lower, upper):
        for before, after in pairwise(layer):
            wire(axes, before.right, after.left, color=BLUE, width=2.6)
    for below, above in [*zip(lower, upper, strict=True), *zip(upper[2:], heads, strict=True)]:
        wire(axes, below.top, above.bottom)
    for below, name in zip(lower, ["y₁", "y₂", "y₃", "ŷ₄", "ŷ₅", "ŷ₆"], strict=True):
        say(axes, (below.x, 5), name, color=ACCENT if name.startswith("ŷ") else INK)
        wire(axes, (below.x, 7.2), below.bottom)
    for head, name in zip(heads, ["ŷ₄", "ŷ₅", "ŷ₆", "ŷ₇"], strict=True):
        wire(axes, head.top, (head.x, 48.2))
        say(axes, (head.x, 50.6), name, color=ACCENT)
    for head, after in pairwise(heads):
        way = head.right[0] + 1.6 if after.x - head.x < 20 else 50.5
        wire(axes, (head.x + 2, 50.6), (way, 50.6), (way, 5), (after.x - 2.4, 5), color=ACCENT, dashed=True)
    return axes


def bidirectional() -> Axes:
    axes = canvas(56)
    _window(axes, 0, ["y₁", "y₂", "y₃", "y₄"], "ŷ₅", "step 1: the known past")
    _window(axes, 51, ["y₂", "y₃", "y₄", "ŷ₅"], "ŷ₆", "step 2: the window slid by one, read again")
    return axes


def _window(axes: Axes, left: float, values: list[str], forecast: str, text: str) -> None:
    """One forecast step: the window in both directions, whose last states meet in the head."""
    zone(axes, left + 0.5, left + 48.5, text, bottom=1, top=55.5)
    columns = [left + 8 + 10 * k for k in range(len(values))]
    ahead = [box(axes, (x, 7), "→", width=6, height=5.5) for x in columns]
    back = [box(axes, (x, 25), "←", width=6, height=5.5) for x in columns]
    for x, value, below, above in zip(columns, values, ahead, back, strict=True):
        say(axes, (x, 16), value, color=ACCENT if value.startswith("ŷ") else INK)
        wire(axes, (x, 14), below.top)
        wire(axes, (x, 18), above.bottom)
    for before, after in pairwise(ahead):
        wire(axes, before.right, after.left, color=BLUE, width=2.6)
    for before, after in pairwise(back):
        wire(axes, after.left, before.right, color=BLUE, width=2.6)
    head = box(axes, (left + 23, 36), "head", width=10, fill=BANDS[0], edge=BLUE)
    wire(axes, back[0].top, (columns[0], 36), head.left)
    wire(axes, ahead[-1].right, (left + 45, 7), (left + 45, 36), head.right)
    wire(axes, head.top, (head.x, 45))
    say(axes, (head.x, 47.4), forecast, color=ACCENT)


PICTURES: dict[str, Callable[[], Axes]] = {
    "rnn": rnn,
    "leaky_rnn": leaky_rnn,
    "esn": esn,
    "lstm": lstm,
    "lstm_peephole": lstm_peephole,
    "lstm_coupled": lstm_coupled,
    "gru": gru,
    "gru_before": gru_before,
    "stacked": stacked,
    "bidirectional": bidirectional,
}


def write(path: Path, picture: Callable[[], Axes]) -> None:
    """Draws a picture into an ``.svg`` or ``.png`` file; the same drawing gives the same bytes."""
    with style.context(LOOK, after_reset=True):
        figure = picture().get_figure(root=True)
        buffer = BytesIO()
        figure.savefig(buffer, format=path.suffix[1:], metadata=dict(FORMATS[path.suffix]))
    path.parent.mkdir(parents=True, exist_ok=True)
    write_bytes(path, buffer.getvalue())


if __name__ == "__main__":
    for name, picture in PICTURES.items():
        write(FOLDER / f"{name}.svg", picture)
