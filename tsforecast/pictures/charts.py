"""Small pictures for a page: geometry as plain values, which the page's template turns into SVG under autoescape.

The plane of every chart is ``SIZE`` units wide and high and is stretched to the room there is; words stand beside it
as text of the page, so they keep their size on a phone. Colours are names that the style sheet knows in light and dark.
"""

from __future__ import annotations

import base64
import math
import struct
import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from matplotlib.ticker import MaxNLocator

from tsforecast.config.words import printable
from tsforecast.series.panel import BoolArray, FloatArray, IntArray

__all__ = [
    "Band",
    "Chart",
    "HeatMap",
    "Line",
    "bar_chart",
    "heat_map",
    "line_chart",
    "number_texts",
    "shown_steps",
    "thinned",
]

SIZE = 1000
# Points of one line; more of them lie within one pixel of each other.
MOST_POINTS = 400
MOST_CELLS = 256
BLUE, ORANGE = (31, 111, 181), (217, 130, 43)
UNITS = ((1e12, "T"), (1e9, "G"), (1e6, "M"), (1e3, "k"))


@dataclass(frozen=True, slots=True)
class Tick:
    """A word beside an axis, ``at`` so many per cent from its left or upper end."""

    at: float
    text: str


@dataclass(frozen=True, slots=True)
class Stroke:
    """One path of the picture.

    Attributes:
        kind: ``line``, ``band``, ``dots``, ``bars``, ``grid`` or ``mark``, a class of the style sheet.
        look: name of its colour.
        path: what an SVG path's ``d`` takes; numbers and letters of ours alone.
    """

    kind: str
    look: str
    path: str


@dataclass(frozen=True, slots=True)
class Chart:
    """A picture as plain values.

    Attributes:
        title: what it shows, read aloud to who cannot see it.
        strokes: in the order they are drawn.
        x_ticks: below it.
        y_ticks: at its left.
        legend: colour and name of what needs telling apart.
        x_label: what the lower axis counts.
        y_label: what the values are.
    """

    title: str
    strokes: Sequence[Stroke]
    x_ticks: Sequence[Tick]
    y_ticks: Sequence[Tick]
    legend: Sequence[tuple[str, str]] = ()
    x_label: str = ""
    y_label: str = ""

    @property
    def gutter(self) -> int:
        """Characters of the longest word at the left."""
        return max((len(tick.text) for tick in self.y_ticks), default=1)


@dataclass(frozen=True, slots=True)
class Line:
    """Values over steps; NaN breaks the line.

    Attributes:
        x: rising.
        y: as long as ``x``.
        look: name of a colour.
        name: for the legend; empty for none.
        kind: ``line`` or ``dots``.
    """

    x: FloatArray
    y: FloatArray
    look: str
    name: str = ""
    kind: str = "line"


@dataclass(frozen=True, slots=True)
class Band:
    """What lies between two lines."""

    x: FloatArray
    low: FloatArray
    high: FloatArray
    look: str
    name: str = ""


@dataclass(frozen=True, slots=True)
class HeatMap:
    """Numbers as colours, one pixel each.

    Attributes:
        title: what it shows.
        uri: the picture, a ``data:`` address of a PNG.
        x_ticks: below it.
    """

    title: str
    uri: str
    x_ticks: Sequence[Tick]


def line_chart(
    *,
    title: str,
    lines: Sequence[Line],
    bands: Sequence[Band] = (),
    x_ticks: Mapping[float, str] | None = None,
    x_label: str = "",
    y_label: str = "",
    from_zero: bool = False,
    top: float | None = None,
    levels: Mapping[float, str] | None = None,
    marks: Sequence[float] = (),
) -> Chart:
    """Lines and bands over common axes.

    Args:
        title: what is shown.
        lines: drawn over the bands, the last on top.
        bands: drawn first.
        x_ticks: words by their place; None takes whole numbers.
        x_label: what the lower axis counts.
        y_label: what the values are.
        from_zero: the left axis begins at 0.
        top: highest value shown; None shows all.
        levels: looks of lines across, by their value.
        marks: places of upright lines.
    """
    levels = levels or {}
    values = [line.y for line in lines] + [side for band in bands for side in (band.low, band.high)]
    plane = _Plane.around(
        np.concatenate([line.x for line in lines] or [np.zeros(1)]),
        np.concatenate([*values, np.array(list(levels), dtype=np.float64)]),
        from_zero=from_zero,
        top=top,
    )
    y_ticks = plane.y_ticks()
    across = [Stroke("mark", look, f"M0 {plane.y_of(value)}H{SIZE}") for value, look in levels.items()]
    upright = [Stroke("mark", "muted", f"M{plane.x_of(place)} 0V{SIZE}") for place in marks]
    return Chart(
        title=printable(title, longest=200),
        strokes=[
            *(Stroke("grid", "muted", f"M0 {round(tick.at * SIZE / 100)}H{SIZE}") for tick in y_ticks),
            *(Stroke("band", band.look, plane.area(band)) for band in bands),
            *across,
            *upright,
            *(Stroke(line.kind, line.look, plane.path(line)) for line in lines),
        ],
        x_ticks=plane.x_ticks(x_ticks),
        y_ticks=y_ticks,
        legend=[
            (f"{kind} {one.look}", printable(one.name, longest=60))
            for kind, some in (("line", sorted(lines, key=lambda line: line.look != "own")), ("band", bands))
            for one in some
            if one.name
        ],
        x_label=x_label,
        y_label=printable(y_label, longest=60),
    )


def bar_chart(*, title: str, labels: Sequence[str], quartiles: FloatArray, y_label: str = "") -> Chart:
    """An upright bar for the middle half of each group, with its median.

    Args:
        title: what is shown.
        labels: of the groups.
        quartiles: quarter, half and three quarters of each group, NaN of an empty one, ``(groups, 3)``.
        y_label: what the values are.
    """
    n = len(labels)
    plane = _Plane.around(np.array([-0.5, n - 0.5]), np.append(quartiles.ravel(), 0.0))
    y_ticks = plane.y_ticks()
    known = np.flatnonzero(np.isfinite(quartiles).all(axis=1))
    low, middle, high = (plane.rows(quartiles[known, k]).tolist() for k in range(3))
    at = plane.columns(known.astype(np.float64)).tolist()
    half = max(SIZE // (3 * n), 1)
    every = math.ceil(n / 12)
    return Chart(
        title=printable(title, longest=200),
        strokes=[
            *(Stroke("grid", "muted", f"M0 {round(tick.at * SIZE / 100)}H{SIZE}") for tick in y_ticks),
            Stroke("mark", "muted", f"M0 {plane.y_of(0.0)}H{SIZE}"),
            Stroke(
                "box", "own", "".join(
                    f"M{x - half} {bottom}V{upper}H{x + half}V{bottom}Z"
                    for x, bottom, upper in zip(at, low, high, strict=True)
                )
            ),
            Stroke("line", "own", "".join(f"M{x - half} {y}h{2 * half}" for x, y in zip(at, middle, strict=True))),
        ],
        x_ticks=plane.x_ticks({float(k): labels[k] for k in range(0, n, every)}),
        y_ticks=y_ticks,
        legend=[("band own", "middle half"), ("line own", "median")],
        y_label=y_label,
    )  # fmt: skip


def heat_map(title: str, values: FloatArray, *, signed: bool, x_ticks: Mapping[float, str]) -> HeatMap:
    """Values as shades: none is 0, full is 1 or the largest; below 0 in another colour.

    Args:
        title: what is shown.
        values: ``(rows, columns)``; of larger ones some rows and columns are shown, evenly chosen.
        signed: values lie on both sides of 0.
        x_ticks: words by the column.
    """
    n_columns = values.shape[1]
    values = values[np.ix_(*(shown_steps(n, MOST_CELLS) for n in values.shape))]
    limit = float(np.abs(values).max(initial=0.0)) if signed else 1.0
    shade = np.clip(np.abs(values) / (limit or 1.0), 0, 1)
    pixels = np.empty((*values.shape, 4), np.uint8)
    pixels[..., :3] = np.where((values < 0)[..., None], ORANGE, BLUE)
    pixels[..., 3] = np.round(255 * shade)
    uri = "data:image/png;base64," + base64.b64encode(_png(pixels)).decode("ascii")
    ticks = [Tick(round(100 * (k + 0.5) / n_columns, 2), text) for k, text in x_ticks.items()]
    return HeatMap(printable(title, longest=200), uri, ticks)


def shown_steps(n: int, most: int) -> IntArray:
    """At most so many of ``n`` places, evenly chosen, the first and the last among them."""
    return (
        np.unique(np.linspace(0, n - 1, min(n, most)).round().astype(np.int64))
        if n
        else np.empty(0, np.int64)
    )


def thinned(y: FloatArray, most: int = MOST_POINTS) -> IntArray:
    """Places of at most so many values that look like all of them: the lowest and highest of each stretch."""
    n = len(y)
    if n <= most:
        return np.arange(n)
    edges = np.linspace(0, n, most // 2 + 1).astype(np.int64)
    low, high = np.where(np.isnan(y), np.inf, y), np.where(np.isnan(y), -np.inf, y)
    kept = {0, n - 1}
    for begin, end in zip(edges[:-1].tolist(), edges[1:].tolist(), strict=True):
        kept |= {begin + int(low[begin:end].argmin()), begin + int(high[begin:end].argmax())}
    return np.array(sorted(kept), dtype=np.int64)


def number_texts(values: Sequence[float]) -> list[str]:
    """Ticks as short words, with as many digits as tell them apart: ``1,500``, ``0.25``, ``12.5M``."""
    steps = np.diff(np.asarray(values, dtype=np.float64))
    step = float(steps.min()) if steps.size else 0.0
    largest = max((abs(value) for value in values), default=0.0)
    unit, name = next(((size, name) for size, name in UNITS if largest >= 100 * size >= 1e5), (1.0, ""))
    decimals = _decimals(step / unit) if step > 0 else 0
    if decimals > 6 or largest / unit >= 1e6:
        digits = math.ceil(math.log10(largest / step)) + 1 if step > 0 and largest > 0 else 3
        return [f"{value:.{min(max(digits, 1), 12)}g}" for value in values]
    return [f"{value / unit:,.{decimals}f}{name if value else ''}".replace("-", "−") for value in values]


def _decimals(step: float) -> int:
    """Decimals that write a step exactly: two for 0.25."""
    decimals = max(0, -math.floor(math.log10(step) + 1e-9))
    return decimals if math.isclose(round(step, decimals), step, rel_tol=1e-6) else decimals + 1


@dataclass(frozen=True, slots=True)
class _Plane:
    """From values to the units of the picture."""

    left: float
    right: float
    bottom: float
    top: float

    @classmethod
    def around(
        cls, x: FloatArray, y: FloatArray, *, from_zero: bool = False, top: float | None = None
    ) -> _Plane:
        y = y[np.isfinite(y)]
        low, high = (float(y.min()), float(y.max())) if y.size else (0.0, 1.0)
        low = min(low, 0.0) if from_zero else low
        high = high if top is None else min(high, top)
        # Halves, so that no difference overflows.
        room = (high / 2 - low / 2) * 0.12 or abs(high) * 0.05 or 0.5
        left, right = (float(x.min()), float(x.max())) if x.size else (0.0, 1.0)
        if left == right:
            left, right = left - 0.5, right + 0.5
        return cls(left, right, low - (0.0 if from_zero and low == 0 else room), high + room)

    def columns(self, x: FloatArray) -> IntArray:
        return _units((x - self.left) / (self.right - self.left))

    def rows(self, y: FloatArray) -> IntArray:
        return _units((self.top / 2 - y / 2) / (self.top / 2 - self.bottom / 2))

    def x_of(self, value: float) -> int:
        return int(self.columns(np.array([value]))[0])

    def y_of(self, value: float) -> int:
        return int(self.rows(np.array([value]))[0])

    def path(self, line: Line) -> str:
        kept = thinned(line.y)
        x, y = line.x[kept], line.y[kept]
        known = np.isfinite(y)
        columns, rows = self.columns(x), self.rows(np.where(known, y, 0.0))
        if line.kind == "dots":
            return "".join(
                f"M{a} {b}h0" for a, b in zip(columns[known].tolist(), rows[known].tolist(), strict=True)
            )
        return "".join(_trace(columns[run], rows[run]) for run in _runs(known))

    def area(self, band: Band) -> str:
        kept = shown_steps(len(band.x), MOST_POINTS // 2)
        x, low, high = band.x[kept], band.low[kept], band.high[kept]
        known = np.isfinite(low) & np.isfinite(high)
        columns, bottom, upper = self.columns(x), *(self.rows(np.where(known, y, 0.0)) for y in (low, high))
        return "".join(
            _trace(np.append(columns[run], columns[run][::-1]), np.append(upper[run], bottom[run][::-1]))
            + "z"
            for run in _runs(known)
        )

    def x_ticks(self, words: Mapping[float, str] | None) -> list[Tick]:
        if words is None:
            places = MaxNLocator(nbins=6, integer=True, steps=[1, 2, 5, 10]).tick_values(
                self.left, self.right
            )
            inside = [float(place) for place in places if self.left <= place <= self.right]
            words = dict(zip(inside, number_texts(inside), strict=True))
        return [
            Tick(_percent(self.x_of(place)), printable(text, longest=30)) for place, text in words.items()
        ]

    def y_ticks(self) -> list[Tick]:
        places = MaxNLocator(nbins=4, steps=[1, 2, 2.5, 5, 10]).tick_values(self.bottom, self.top)
        inside = [float(place) for place in places if self.bottom <= place <= self.top]
        return [
            Tick(_percent(self.y_of(place)), text)
            for place, text in zip(inside, number_texts(inside), strict=True)
        ]


def _units(share: FloatArray) -> IntArray:
    """What leaves the picture far is cut, so that no number is longer than five digits."""
    return np.clip(np.round(share * SIZE), -9 * SIZE, 9 * SIZE).astype(np.int64)


def _percent(units: int) -> float:
    return round(100 * units / SIZE, 1)


def _runs(known: BoolArray) -> list[slice]:
    """Stretches of known values."""
    edges = np.flatnonzero(np.diff(np.concatenate([[False], known, [False]]).astype(np.int8)))
    return [slice(begin, end) for begin, end in edges.reshape(-1, 2).tolist()]


def _trace(columns: IntArray, rows: IntArray) -> str:
    """A path through points, each relative to the one before, which takes half the letters."""
    steps = zip(np.diff(columns).tolist(), np.diff(rows).tolist(), strict=True)
    # A single value is a dot: a step of no length, with round ends.
    moves = " ".join(f"{a} {b}" for a, b in steps) or "0 0"
    return f"M{columns[0]} {rows[0]}l{moves}"


def _png(pixels: npt.NDArray[np.uint8]) -> bytes:
    """A PNG of ``(rows, columns, 4)`` colours with their opacity; equal pixels, equal bytes."""
    height, width, _ = pixels.shape
    # Each row begins with its filter: none.
    rows = np.concatenate([np.zeros((height, 1), np.uint8), pixels.reshape(height, -1)], axis=1).tobytes()
    header = struct.pack(">IIBBBBB", width, height, 8, 6, 0, 0, 0)
    chunks = ((b"IHDR", header), (b"IDAT", zlib.compress(rows, 9)), (b"IEND", b""))
    return b"\x89PNG\r\n\x1a\n" + b"".join(
        struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))
        for name, data in chunks
    )
