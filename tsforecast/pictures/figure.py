"""One look for all pictures: colours, axes of time, and a file that is written whole.

Drawn on ``Figure`` objects, without pyplot's global state, in a style that no matplotlibrc changes: equal data gives
equal files. No text is read as mathematics, so any series name can be shown.
"""

from __future__ import annotations

import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
from matplotlib import style
from matplotlib.axes import Axes
from matplotlib.dates import AutoDateLocator, ConciseDateFormatter
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from tsforecast.errors import ConfigError
from tsforecast.series.timeaxis import TimeIndex
from tsforecast.storage.atomic import write_bytes

__all__ = [
    "BANDS",
    "BLUE",
    "INK",
    "MANY_LINES",
    "MUTED",
    "OTHER_LINES",
    "axis_times",
    "drawing",
    "legend_below",
    "set_time_axis",
    "whole_numbers",
]

INK = "#33383f"
MUTED = "#7a828c"
BLUE = "#1f6fb5"
BANDS = ("#d9e7f4", "#b9d4ec", "#94bde0")  # from the outermost quantiles inwards
# Of up to nine equals; colours told apart by most eyes, with dashes as well.
MANY_LINES = [
    ("#1f6fb5", "-"),
    ("#d9822b", (0, (5, 2))),
    ("#5a9a6f", (0, (1, 1.5))),
    ("#a15c9b", (0, (6, 2, 1, 2))),
    ("#555c66", (0, (3, 1, 1, 1))),
    ("#b3423e", (0, (8, 2))),
    ("#2aa5a0", (0, (3, 2))),
    ("#8a6d1f", "-"),
    ("#d46a9f", (0, (1, 1))),
]
OTHER_LINES = MANY_LINES[1:]  # of baselines, beside the blue of the model
# Labels of ticks that are years, months, days, hours, minutes and seconds apart.
DATES = ["%Y", "%b", "%d %b", "%H:%M", "%H:%M", "%S.%f"]

STYLE: Mapping[str, Any] = {
    "axes.axisbelow": True,
    "axes.edgecolor": "#c3c8ce",
    "axes.formatter.limits": (-4, 7),
    "axes.formatter.useoffset": False,
    "axes.grid": True,
    "axes.labelcolor": MUTED,
    "axes.spines.right": False,
    "axes.spines.top": False,
    "axes.titlecolor": INK,
    "axes.titlelocation": "left",
    "axes.titlesize": 12,
    "figure.constrained_layout.h_pad": 0.12,
    "figure.constrained_layout.w_pad": 0.12,
    "figure.dpi": 120,
    "font.size": 10,
    "grid.color": "#e8ebee",
    "grid.linewidth": 0.8,
    "legend.fontsize": 9,
    "legend.frameon": False,
    "legend.labelcolor": INK,
    "lines.linewidth": 1.5,
    "lines.solid_capstyle": "round",
    "savefig.dpi": 120,
    "svg.fonttype": "none",  # text stays text, and the viewer's fonts know more characters
    "svg.hashsalt": "tsforecast",
    "text.parse_math": False,
    "xtick.color": "#c3c8ce",
    "xtick.labelcolor": MUTED,
    "ytick.color": "#c3c8ce",
    "ytick.labelcolor": MUTED,
}

# What would otherwise tell when and by which version a file was written.
FORMATS: Mapping[str, Mapping[str, None]] = {
    ".png": {"Software": None},
    ".svg": {"Creator": None, "Date": None},
}


@contextmanager
def drawing(path: Path, *, width: float, height: float) -> Iterator[Figure]:
    """A figure to draw on, in our style, that is written to ``path`` at the end."""
    ending = path.suffix.lower()
    if ending not in FORMATS:
        raise ConfigError(f"{path}: a picture is a {' or '.join(FORMATS)} file, not {ending!r}; rename it.")
    with style.context(dict(STYLE), after_reset=True), warnings.catch_warnings():
        # A name in a script our font lacks is drawn as boxes, which is no reason to alarm anybody.
        warnings.filterwarnings("ignore", message="Glyph .* missing from")
        figure = Figure(figsize=(width, height), layout="constrained")
        yield figure
        buffer = BytesIO()
        figure.savefig(buffer, format=ending[1:], metadata=dict(FORMATS[ending]))
    write_bytes(path, buffer.getvalue())


def set_time_axis(axes: Axes, ds: TimeIndex, *, max_ticks: int) -> None:
    if not isinstance(ds, pd.DatetimeIndex):
        axes.xaxis.set_major_locator(whole_numbers(max_ticks))
        return
    # With less room between the two, some spans have no step that fits.
    ticks = {"minticks": max_ticks // 3, "maxticks": max_ticks}
    locator = AutoDateLocator(tz=ds.tz, **ticks)  # type: ignore[no-untyped-call]
    axes.xaxis.set_major_locator(locator)
    axes.xaxis.set_major_formatter(
        ConciseDateFormatter(  # type: ignore[no-untyped-call]
            locator, tz=ds.tz, formats=DATES, zero_formats=["", *DATES[:-1]]
        )
    )


def whole_numbers(max_ticks: int) -> MaxNLocator:
    return MaxNLocator(nbins=max_ticks, integer=True, steps=[1, 2, 5, 10])


def axis_times(ds: TimeIndex | pd.Index) -> npt.NDArray[Any]:
    """Timestamps as matplotlib takes them: those with a time zone in UTC, which the axis turns back."""
    if isinstance(ds, pd.DatetimeIndex) and ds.tz is not None:
        ds = ds.tz_convert("UTC").tz_localize(None)
    return np.asarray(ds)


def legend_below(figure: Figure, axes: Axes) -> None:
    handles, labels = axes.get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside lower center", ncols=5)
