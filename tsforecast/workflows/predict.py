"""Forecasting from a run folder: with the rows it keeps, or with new data."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, cast

import numpy as np
import pandas as pd
import torch

from tsforecast.config.schema import Config, DataConfig
from tsforecast.config.words import listed
from tsforecast.errors import ConfigError, DataError, RunError
from tsforecast.features.auto import least_history
from tsforecast.forecasting.forecast import (
    FittedModel,
    forecast_frame,
    forecast_paths,
    frame_of_paths,
    quantile_column,
)
from tsforecast.forecasting.stored import fallbacks_from_storage, from_storage, tail_from_storage
from tsforecast.runs import Run, open_run, refuse_inside_run
from tsforecast.runtime import choose_device, set_precision, set_threads
from tsforecast.series.assemble import freq_of_table, numbered, times_of
from tsforecast.series.cut import NO_CUT, Cut, cut_table, emptied_reason, emptied_series, moment_of
from tsforecast.series.faults import Apart, read_apart
from tsforecast.series.isolate import Failure, Isolated, isolated_panel, not_forecast
from tsforecast.series.joined import parts_of_id, quoted
from tsforecast.series.panel import Panel
from tsforecast.series.read import name_of, read_future
from tsforecast.series.sources import is_read
from tsforecast.series.timeaxis import TimeAxis
from tsforecast.storage.atomic import output_errors, write_bytes, write_text
from tsforecast.workflows.fallback import (
    failures_csv,
    tell_failures,
    with_fallbacks,
    without_wrong_values,
)

__all__ = [
    "LoadedRun",
    "Prediction",
    "check_out",
    "csv_text",
    "date_format",
    "draw",
    "load_run",
    "parse_quantiles",
    "position_of",
    "predict",
    "predict_all",
    "read_like",
    "read_rows_like",
    "sample",
    "short_apart",
    "tell_reading",
    "unseen_in",
    "with_input_names",
    "write_failures",
    "write_forecast",
]

log = logging.getLogger(__name__)

WRITTEN = ("", ".csv", ".txt", ".parquet")
MAX_HORIZON = 10_000
MAX_PATHS = 10_000
TIME_OF_DAY = "%Y-%m-%d %H:%M:%S"


@dataclass(frozen=True, slots=True, eq=False)
class LoadedRun:
    """A run folder in memory, ready to forecast.

    Attributes:
        path: the run folder.
        config: as resolved in training.
        model: on its device.
        tail: the newest rows of the series it was trained on.
        fallbacks: those of series that the seasonal naive forecasts.
        auto: keys of the config that were resolved from the data.
        version: counts the updates, from 1.
        held_back: steps at the end of each series that the model has not learned from.
        budget: time the training was given, where it was.
        metrics: as stored.
        files: contents of the further files that were asked for.
    """

    path: Path
    config: Config
    model: FittedModel
    tail: Panel
    fallbacks: tuple[Panel, ...] = ()
    auto: tuple[str, ...] = ()
    version: int = 1
    held_back: int = 0
    budget: str | None = None
    metrics: Mapping[str, Any] = field(default_factory=dict)
    files: Mapping[str, bytes] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, eq=False)
class Prediction:
    """Forecasts, and what they start from.

    Attributes:
        frame: the forecast table.
        panel: the series the network forecast.
        failures: the others.
        fallbacks: those of the others that the seasonal naive forecast.
    """

    frame: pd.DataFrame
    panel: Panel
    failures: tuple[Failure, ...]
    fallbacks: tuple[Panel, ...] = ()

    @property
    def lost(self) -> tuple[Failure, ...]:
        """The series that nothing forecast."""
        return not_forecast(self.failures)


def load_run(path: Path, *, device: str | None = None, also: Sequence[str] = ()) -> LoadedRun:
    """Reads and verifies a run folder; a model trained on a GPU loads on the CPU as well.

    Args:
        path: the run folder.
        device: ``auto``, ``cpu`` or ``cuda``; None takes the GPU where there is one.
        also: names of further files whose contents are wanted.

    Raises:
        RunError: the folder is missing or damaged.
    """
    stored = open_run(path, also=also)
    where = choose_device(device or "auto")
    try:
        return _loaded(stored, where)
    except RunError as error:
        raise RunError(f"{path}: {error}") from error
    except (KeyError, IndexError, TypeError, ValueError, AttributeError) as error:
        # The hashes fit, so somebody wrote it like this: what is missing or of another kind, names the error.
        raise RunError(
            f"{path}: model.json, model.safetensors and config.yaml do not fit together "
            f"({type(error).__name__}: {error}). Restore the folder from a copy, or train again."
        ) from error


def _loaded(stored: Run, where: torch.device) -> LoadedRun:
    model = from_storage(stored.model, stored.arrays, stored.config.model, device=where)
    _refuse_other_sizes(stored, model)
    set_precision(model.precision, where)
    set_threads(stored.config.runtime.threads, hidden_size=cast(int, stored.config.model.hidden_size))
    return LoadedRun(
        path=stored.path,
        config=stored.config,
        model=model,
        tail=tail_from_storage(stored.model, stored.arrays),
        fallbacks=fallbacks_from_storage(stored.model, stored.arrays),
        auto=tuple(stored.model.get("auto", ())),
        version=stored.model.get("version", 1),
        held_back=_held_back(stored.model.get("held_back"), stored.config),
        budget=stored.model.get("budget"),
        metrics=stored.metrics or {},
        files=stored.files,
    )


def _refuse_other_sizes(stored: Run, model: FittedModel) -> None:
    """Refuses a model that would take more memory than its config admits: the config's limits were checked.

    Raises:
        RunError: names the size.
    """
    config = stored.config
    sizes = {
        "lookback": (model.features.lookback, config.lookback),
        "horizon": (model.horizon, config.horizon),
        "n_paths": (model.n_paths, config.forecast.paths),
    }
    for name, (found, expected) in sizes.items():
        if found != expected and name in stored.model.get("features", {}) | stored.model:
            raise RunError(
                f"model.json: {name} is {found!r}, and config.yaml has {expected!r}. Restore the folder from a copy, "
                "or train again."
            )


def _held_back(stored: int | None, config: Config) -> int:
    """Steps at the end that were not learned from; a run that does not say so held back its test part, or nothing."""
    if stored is not None:
        return stored
    return 0 if config.training.final_fit else cast(int, config.split.test)


def predict(
    run: LoadedRun,
    source: str | Path | pd.DataFrame | None = None,
    *,
    horizon: int | None = None,
    as_of: str | None = None,
    drop_last: int = 0,
    quantile_levels: Sequence[float] | None = None,
    future: str | Path | pd.DataFrame | None = None,
) -> tuple[pd.DataFrame, Panel]:
    """As :func:`predict_all`, without what failed: the forecast table and the panel it starts from."""
    made = predict_all(
        run,
        source,
        horizon=horizon,
        as_of=as_of,
        drop_last=drop_last,
        quantile_levels=quantile_levels,
        future=future,
    )
    return made.frame, made.panel


def predict_all(
    run: LoadedRun,
    source: str | Path | pd.DataFrame | None = None,
    *,
    horizon: int | None = None,
    as_of: str | None = None,
    drop_last: int = 0,
    quantile_levels: Sequence[float] | None = None,
    future: str | Path | pd.DataFrame | None = None,
) -> Prediction:
    """Forecasts from the end of each series, and the series that could not be forecast.

    Args:
        run: the loaded run.
        source: new data, whatever ``data.path`` may be, with the columns the run was trained with; None starts
            from the rows the run keeps.
        horizon: steps to forecast; None takes the trained horizon. It may be longer.
        as_of: forget everything after this timestamp.
        drop_last: forget so many steps before the end of each series.
        quantile_levels: None takes those of the config.
        future: values of the future covariates over the horizon, without a target.

    Raises:
        ConfigError: ``as_of`` is not a timestamp, ``drop_last`` is negative, or there are no future covariates to give.
        DataError: the data cannot be used as it is, or none is left.
        RunError: the data has another frequency than the run.
    """
    cut = Cut(as_of, drop_last)
    read = _kept(run, cut) if source is None else read_like(run, source, cut)
    panel, fallbacks = read.panel, read.fallbacks
    if cut:
        log.info("%d rows left out (%s)", read.left_out, cut.text)
    tell_failures(read.failures)
    if future is not None:
        panel = _with_future(run, panel, future)
    if doubt := run.model.spread.doubt:
        log.info("%s", doubt)  # the training warned of it, and nothing can be done about it here
    _warn_of_short_series(run, panel)
    _warn_of_unknown_words(run, panel)
    levels = run.config.forecast.quantile_levels if quantile_levels is None else _checked(quantile_levels)
    steps = run.config.horizon if horizon is None else horizon
    if not 1 <= steps <= MAX_HORIZON:
        raise ConfigError(f"horizon: {steps!r} is not a whole number from 1 to {MAX_HORIZON}.")
    frame = with_fallbacks(
        forecast_frame(run.model, panel, panel.last_cutoffs, steps, quantile_levels=levels),
        fallbacks,
        horizon=steps,
        season_length=run.model.features.season_length,
        quantile_levels=levels,
        non_negative=run.model.non_negative,
    )
    log.info("%d series forecast %d steps ahead, to %s", panel.n_series, steps, frame["ds"].max())
    if steps > run.config.horizon:
        log.info(
            "the run was trained to forecast %d steps: beyond them the intervals are extrapolated",
            run.config.horizon,
        )
    return Prediction(frame, panel, read.failures, fallbacks)


def sample(
    run: LoadedRun, made: Prediction, *, horizon: int | None = None, n_paths: int | None = None
) -> pd.DataFrame:
    """Sample paths of what was forecast, in long form: ``unique_id, ds, cutoff, lead_time, path, y_hat``.

    At each step they spread as the quantiles do. Series that the fallback forecasts have none.

    Args:
        run: the loaded run.
        made: its forecast.
        horizon: as it was forecast.
        n_paths: paths of each series; None takes the config's.

    Raises:
        ConfigError: not a number of paths.
    """
    n_paths = run.config.forecast.paths if n_paths is None else n_paths
    if not 1 <= n_paths <= MAX_PATHS:
        raise ConfigError(f"paths: {n_paths!r} is not a whole number from 1 to {MAX_PATHS}.")
    panel, steps = made.panel, run.config.horizon if horizon is None else horizon
    if without := len(set(made.frame["unique_id"]) - set(panel.unique_ids)):
        log.warning("%d series are forecast by the seasonal naive, which has no sample paths", without)
    cutoffs = panel.last_cutoffs
    return frame_of_paths(panel, cutoffs, forecast_paths(run.model, panel, cutoffs, steps, n_paths=n_paths))


def _with_future(run: LoadedRun, panel: Panel, source: str | Path | pd.DataFrame) -> Panel:
    """The panel with the future covariates of a file; rows of other series and times are not used."""
    where = name_of(str(source)) if isinstance(source, (str, Path)) else "future data"
    if not panel.future_names:
        raise ConfigError(
            f"--future: the run has no future covariates (data.covariates.future), so {where} is of no use."
        )
    table = read_future(run.config.data, source)
    words = {name: table[name].dropna() for name in panel.future_names if name in panel.categories}
    panel = panel.with_words(words)
    values = np.column_stack(
        [numbered(table[name], panel.categories.get(name)) for name in panel.future_names]
    )
    position = panel.axis.positions(times_of(table))
    if "unique_id" not in table:  # the values hold for every series
        series = np.repeat(np.arange(panel.n_series), len(table))
        return panel.with_future(
            np.tile(position, panel.n_series), series, np.tile(values, (panel.n_series, 1))
        )
    series = pd.Index(panel.unique_ids).get_indexer(pd.Index(table["unique_id"]))
    used = series >= 0
    if not used.any():
        raise DataError(
            f"{where}: none of its series is one of those to forecast; check the column of names."
        )
    return panel.with_future(position[used], series[used], values[used])


def _kept(run: LoadedRun, cut: Cut) -> Isolated:
    """The rows the run keeps, without what is cut off at their end.

    Raises:
        ConfigError: not a timestamp.
        DataError: no row is left.
    """
    read = Isolated(run.tail, {}, fallbacks=run.fallbacks)
    if not cut:
        return read
    before = (read.panel, *read.fallbacks)
    panel = read.panel if cut.as_of is None else _known_at(read.panel, cut.as_of)
    fallbacks = read.fallbacks
    if cut.as_of is not None:
        begun = (one.until(position_of(one.axis, cut.as_of)) for one in fallbacks)
        fallbacks = tuple(_filled(one) for one in begun)
    reasons = _emptied((panel, *fallbacks), cut.drop_last)
    panel, *others = (_filled(one.drop_last(cut.drop_last)) for one in (panel, *fallbacks))
    fallbacks = tuple(one for one in others if one.n_series)
    policy = run.config.data.on_bad_series if panel.n_series else "fail"
    failures = emptied_series(reasons, policy=policy, where=f"{run.path}: the rows it keeps")
    left_out = sum(len(one.y) for one in before) - sum(len(one.y) for one in (panel, *fallbacks))
    return Isolated(panel, {}, fallbacks=fallbacks, failures=failures, left_out=left_out)


def _emptied(panels: Sequence[Panel], drop_last: int) -> dict[str, str]:
    """Why a series has no row left, by its name."""
    return {
        name: emptied_reason(length, drop_last)
        for panel in panels
        for name, length in zip(panel.unique_ids, panel.lengths.tolist(), strict=True)
        if length <= drop_last
    }


def _filled(panel: Panel) -> Panel:
    """The series that have a row."""
    return panel.select(np.flatnonzero(panel.lengths > 0))


def _known_at(panel: Panel, as_of: str) -> Panel:
    """The kept rows up to a moment, of the series that have any.

    Raises:
        ConfigError: not a timestamp.
        DataError: no series has a row by then.
    """
    position = position_of(panel.axis, as_of)
    newest = int(panel.positions(panel.last_cutoffs).max())
    if position > newest:
        last = panel.axis.timestamps(np.array([newest]))[0]
        log.warning("--as-of %s lies after the newest row, %s: nothing is left out", as_of, last)
    known = panel.until(position)
    filled = np.flatnonzero(known.lengths > 0)
    if not len(filled):
        first = panel.axis.timestamps(np.array([panel.starts.min()]))[0]
        raise DataError(
            f"no series has a row at or before --as-of {as_of!r}: the rows the run keeps begin at {first}; "
            "give a later time, or a DATA file that reaches further back."
        )
    if len(filled) < panel.n_series:
        lost = [name for name, length in zip(panel.unique_ids, known.lengths, strict=True) if length == 0]
        log.warning("%d series have no row up to %s and are left out: %s", len(lost), as_of, listed(lost))
    return known.select(filled)


def _warn_of_short_series(run: LoadedRun, panel: Panel) -> None:
    history = run.model.features.history + run.model.transform.difference
    short = [name for name, length in zip(panel.unique_ids, panel.lengths, strict=True) if length < history]
    if short:
        log.warning(
            "%d series have fewer rows than the %d the network looks back on, so their forecasts are weaker: %s",
            len(short),
            history,
            listed(short),
        )


def _warn_of_unknown_words(run: LoadedRun, panel: Panel) -> None:
    for column, learned in run.model.features.categories.items():
        if unknown := sorted(set(panel.categories.get(column, ())) - set(learned)):
            log.warning(
                "column %r: %d words that training did not see, taken for one unknown word: %s",
                column,
                len(unknown),
                listed(unknown),
            )


def position_of(axis: TimeAxis, as_of: str) -> int:
    """Position of the last step at or before a timestamp the user wrote."""
    moment = moment_of(as_of, is_integer=axis.is_integer, timezone=axis.timezone)
    times = np.array([moment]) if isinstance(moment, int) else pd.DatetimeIndex([moment])
    return int(axis.floor(times)[0])


def with_input_names(frame: pd.DataFrame, data: DataConfig) -> pd.DataFrame:
    """The forecast table with the user's own names for the columns that came from their file.

    Names that were put together from several columns become these columns again, as text; timestamps stay whole, in
    ``ds``.
    """
    times, ids = data.time_columns, data.id_columns
    names = {"ds": times[0]} if len(times) == 1 else {}
    kept = set(frame.columns) - set(names) - ({"unique_id"} if ids else set())
    taken = sorted({*names.values(), *ids} & kept)
    if taken:
        raise ConfigError(
            f"--names input: your column {taken[0]!r} is also one of the forecast's; use --names tsforecast."
        )
    frame = frame.rename(columns=names | ({"unique_id": ids[0]} if len(ids) == 1 else {}))
    if len(ids) < 2:
        return frame
    each = {name: parts_of_id(name) for name in frame["unique_id"].unique()}
    if other := [name for name, found in each.items() if len(found) != len(ids)]:
        raise ConfigError(
            f"--names input: series {other[0]!r} was not put together from {quoted(ids)}; use --names tsforecast."
        )
    for place, column in enumerate(ids):
        frame.insert(
            place, column, frame["unique_id"].map({name: found[place] for name, found in each.items()})
        )
    return frame.drop(columns="unique_id")


def read_like(run: LoadedRun, source: str | Path | pd.DataFrame, cut: Cut = NO_CUT) -> Isolated:
    """New data in the form the run was trained on, bad series set apart as its ``data.on_bad_series`` says.

    Args:
        run: the loaded run.
        source: the data.
        cut: what is left out at the end.

    Raises:
        ConfigError: the cut does not fit the data.
        DataError: the data cannot be used as it is, or none is left.
        RunError: the data has another frequency or time zone than the run.
    """
    where = name_of(str(source)) if isinstance(source, (str, Path)) else "data"
    read = read_rows_like(run, read_apart(run.config.data, source), cut, where=where)
    tell_reading(read.repairs, unseen_in(run, read), where=where)
    return short_apart(run, read)


def read_rows_like(
    run: LoadedRun, rows: Apart, cut: Cut = NO_CUT, *, where: str, is_part: bool = False
) -> Isolated:
    """As :func:`read_like`, of rows that were read; short series stay, and nothing is told of repairs and unseen ones.

    Args:
        run: the loaded run.
        rows: as ``read_apart`` gives them.
        cut: what is left out at the end.
        where: the source, for messages.
        is_part: these are not all series, so that every one of them may be bad.

    Raises:
        ConfigError: as :func:`read_like`.
        DataError: as :func:`read_like`.
        RunError: as :func:`read_like`.
    """
    data, freq = run.config.data, run.tail.axis.freq
    table, apart = rows
    left = cut_table(table, data, cut, freq=freq, where=where, is_part=is_part)
    table = left.table
    try:
        read = isolated_panel(
            table, data, freq=freq, where=where, apart=apart, warn=not is_part, is_part=is_part
        )
    except DataError as error:
        _refuse_other_freq(table, freq, where=where, cause=error)
        raise
    read = _refused_for_its_freq(read, table, freq, where=where)
    read = without_wrong_values(read, table, run.config, where=where)
    read = _all_in_zone(read, run.tail.axis.timezone, where=where, policy=data.on_bad_series)
    return replace(read, failures=(*read.failures, *left.failures), left_out=left.n_rows)


def _refused_for_its_freq(read: Isolated, table: pd.DataFrame, freq: str, *, where: str) -> Isolated:
    """The part; where it is bad as a whole since it has another frequency, that is what stands against it."""
    if isinstance(read.refused, DataError):
        try:
            _refuse_other_freq(table, freq, where=where, cause=read.refused)
        except RunError as error:
            return replace(read, refused=error)
    return read


def _all_in_zone(read: Isolated, timezone: str | None, *, where: str, policy: str) -> Isolated:
    """The series on the clock the run was trained on; a part that cannot be is set apart.

    Raises:
        RunError: none can be.
    """
    try:
        panel, *fallbacks = (
            _in_zone(one, timezone, where=where) if one.n_series else one
            for one in (read.panel, *read.fallbacks)
        )
    except RunError as error:
        if not read.is_part or policy == "fail":
            raise
        reason = str(error).removeprefix(f"{where}: ").partition(";")[0]
        names = [name for one in (read.panel, *read.fallbacks) for name in one.unique_ids]
        failures = (*read.lost, *(Failure(name, "T303", reason) for name in names))
        nothing = read.panel.select([])
        return replace(read, panel=nothing, fallbacks=(), failures=failures, refused=error)
    return replace(read, panel=panel, fallbacks=tuple(fallbacks))


def unseen_in(run: LoadedRun, read: Isolated) -> list[str]:
    """The series that the model was not trained on, by name."""
    return sorted({*read.panel.unique_ids} - {*run.model.unique_ids})


def tell_reading(repairs: Mapping[str, int], unseen: Sequence[str], *, where: str) -> None:
    """Says what was repaired, and which series the model was not trained on.

    Args:
        repairs: how much, by kind.
        unseen: the series; only the first need be right, if their number is.
        where: the source.
    """
    for name, count in repairs.items():
        if count:
            log.warning("%s: %d %s repaired", where, count, name)
    if unseen:
        log.warning(
            "%s: %d series the model was not trained on, scaled by their own rows: %s",
            where,
            len(unseen),
            listed(unseen),
        )


def short_apart(run: LoadedRun, read: Isolated) -> Isolated:
    """Without series that are shorter than what the network was trained on, where the config says so."""
    features = run.model.features
    least = run.model.transform.difference + least_history(features.lookback, [features.season_length])
    short = {
        name: f"{count} rows are too few to forecast from"
        for name, count in zip(read.panel.unique_ids, read.panel.lengths.tolist(), strict=True)
        if count < least
    }
    return read.without(short, code="L505", policy=run.config.data.on_bad_series)


def _in_zone(panel: Panel, timezone: str | None, *, where: str) -> Panel:
    """The panel on the clock the run was trained on: its calendar inputs are local time.

    Raises:
        RunError: only one of them has a time zone, or steps of a day were counted on another clock.
    """
    axis = panel.axis
    if axis.timezone == timezone:
        return panel
    if axis.timezone is None or timezone is None or axis.counts_dates:
        raise RunError(
            f"{where}: the time zone is {axis.timezone!r}, and the run was trained on {timezone!r}; "
            "give data with timestamps of that kind."
        )
    return replace(panel, axis=replace(axis, timezone=timezone))


def _refuse_other_freq(table: pd.DataFrame, freq: str, *, where: str, cause: DataError) -> None:
    """Says that the data has another frequency where that is what is wrong."""
    try:
        found = freq_of_table(table)
    except DataError:
        return
    if found != freq:
        raise RunError(
            f"{where}: the data has frequency {found!r}, and the run was trained on {freq!r}; "
            "give data of that frequency, or train on this data."
        ) from cause


def parse_quantiles(text: str) -> list[float]:
    """Quantile levels from ``0.05,0.5,0.95``, in rising order.

    Raises:
        ConfigError: not numbers strictly between 0 and 1, or one stands twice.
    """
    try:
        levels = [float(part) for part in text.split(",") if part.strip()]
    except ValueError as error:
        raise ConfigError(f"--quantiles: {text!r} is not a list of numbers such as 0.05,0.5,0.95.") from error
    return _checked(levels)


def _checked(levels: Sequence[float]) -> list[float]:
    """The levels in rising order, each between 0 and 1 and with a column name of its own."""
    if not all(0 < level < 1 for level in levels) or len({quantile_column(level) for level in levels}) < len(
        levels
    ):
        raise ConfigError(f"quantiles: {list(levels)!r} must be different numbers strictly between 0 and 1.")
    return sorted(levels)


def check_out(
    data: str | Path | None, *, out: Path | None, plots: Path | None, paths_out: Path | None = None
) -> None:
    """Refuses before any work what would damage the run or the input.

    Raises:
        ConfigError: an output lies in a run folder (but for ``derived/``), is the input itself, or is of a kind
            that is not written.
    """
    for option, path in (("--out", out), ("--paths-out", paths_out), ("--plot", plots)):
        if path is not None:
            refuse_inside_run(option, path)
    for option, path in (("--out", out), ("--paths-out", paths_out)):
        if path is None:
            continue
        if data is not None and is_read(str(data), path):
            raise ConfigError(f"{option}: {str(path)!r} is a file the data is read from; name another.")
        if path.suffix not in WRITTEN:
            raise ConfigError(
                f"{option}: {str(path)!r} would be {path.suffix!r}; a forecast is written as .csv or .parquet."
            )
    if out is not None and paths_out is not None and out.absolute() == paths_out.absolute():
        raise ConfigError(
            f"--paths-out: {str(paths_out)!r} is where the forecast goes (--out); name another."
        )


def write_forecast(path: Path, frame: pd.DataFrame, axis: TimeAxis) -> None:
    """Writes the table whole or not at all: Parquet for ``.parquet``, else CSV.

    Raises:
        ConfigError: the path cannot be written.
        ResourceError: the disk is full.
    """
    if path.suffix == ".parquet":
        write_bytes(path, frame.to_parquet(None, index=False))
    else:
        write_text(path, csv_text(frame, axis))


def write_failures(out: Path, failures: Sequence[Failure]) -> Path:
    """Lists the series that failed beside the forecast, as ``forecast.failures.csv``, and returns the path.

    Where none failed, the list of an earlier forecast is removed: it would be taken for this one's.
    """
    path = out.with_name(f"{out.stem}.failures.csv")
    if failures:
        write_text(path, failures_csv(failures))
    else:
        path.unlink(missing_ok=True)
    return path


def csv_text(frame: pd.DataFrame, axis: TimeAxis) -> str:
    """The table as CSV; times of day are written in every row, also where all of them are midnight."""
    return frame.to_csv(index=False, date_format=date_format(frame["ds"], axis))


def date_format(ds: pd.Series, axis: TimeAxis) -> str | None:
    """How timestamps are written as text; None where pandas' own way is right."""
    has_time_of_day = not (axis.is_integer or axis.timezone is not None or axis.counts_dates)
    return TIME_OF_DAY if has_time_of_day and not ds.dt.microsecond.any() else None


def draw(folder: Path, run: LoadedRun, panel: Panel, frame: pd.DataFrame) -> Path:
    """Draws the forecasts into a folder, which is made where it is missing, and returns the picture's path."""
    # matplotlib takes longer to import than a forecast to make.
    from tsforecast.workflows.pictures import draw_forecasts

    with output_errors(folder):
        folder.mkdir(parents=True, exist_ok=True)
    target = run.config.data.target
    path = folder / "forecast.png"
    y_label = target if isinstance(target, str) else ""
    draw_forecasts(path, panel, panel.last_cutoffs, frame, y_label=y_label)
    return path
