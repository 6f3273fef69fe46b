"""New rows for a run: a challenger learns from them, and replaces the champion where it forecasts the newest better."""

from __future__ import annotations

import json
import logging
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from tsforecast.config.location import kind_of
from tsforecast.config.words import listed
from tsforecast.errors import DataError, StoppedError
from tsforecast.evaluation.scores import Scores, legend, metrics_json, model_lines
from tsforecast.forecasting.forecast import FittedModel, forecast_values, frame_of, known_ahead
from tsforecast.runs import check_target, open_run, version_names
from tsforecast.runtime import be_deterministic
from tsforecast.series.cut import NO_CUT, Cut
from tsforecast.series.isolate import Isolated
from tsforecast.series.panel import Cutoffs, IntArray, Panel, data_hash
from tsforecast.series.read import name_of
from tsforecast.storage.lock import locked
from tsforecast.training.fit import Watcher
from tsforecast.training.learn import judged_by_squares, learn_on
from tsforecast.training.state import Fit
from tsforecast.versions import next_version, refuse_without_versions, restore_version
from tsforecast.workflows.backtest import learned_until
from tsforecast.workflows.fallback import newest_rows, tell_failures
from tsforecast.workflows.predict import LoadedRun, load_run, read_like
from tsforecast.workflows.receipt import Started
from tsforecast.workflows.train import (
    Made,
    Test,
    Trained,
    last_forecast,
    model_name,
    score_with_baselines,
    use_threads,
    write_run,
)

__all__ = ["CHAMPION", "HISTORY", "KEEP", "Updated", "remake", "report", "rollback", "update"]

log = logging.getLogger(__name__)

CHAMPION, CHALLENGER = "champion", "challenger"
KEEP = 3
HISTORY = "history.jsonl"
# A window shorter than the horizon is waited with until it has so many values: fewer say more about chance.
ENOUGH_VALUES = 20
# By which the winner is told, the first that is defined; MASE is not where no series ever changes.
ABSOLUTE = ("mase", "mae")
SQUARED = ("rmsse", "rmse")
SHOWN = ("mae", "rmse", "mase", "rmsse", "skill")
# What the model's file tells of the update it came from.
TOLD = ("new_rows", "window", "metric", "champion", "challenger", "seasonal_naive")


@dataclass(frozen=True, slots=True, eq=False)
class Updated:
    """How an update went.

    Attributes:
        path: the run folder.
        version: of the run that stands there now.
        replaced: whether that is the challenger.
        n_new: rows of the series with most of them that the champion had not learned from.
        reason: why nothing was judged; empty where it was.
        window: newest steps that the two were judged on; 0 where there were too few new rows for that.
        metric: what they were judged by.
        champion: its value for the one.
        challenger: and for the other.
        seasonal_naive: and for the baseline.
        scores: all of them; None where nothing was judged.
        name: of the challenger in the scores.
        kept: older versions that the run has now.
        n_lost: series of the data that were left out.
    """

    path: Path
    version: int
    replaced: bool
    n_new: int
    reason: str = ""
    window: int = 0
    metric: str = ""
    champion: float = math.nan
    challenger: float = math.nan
    seasonal_naive: float = math.nan
    scores: Scores | None = None
    name: str = ""
    kept: int = 0
    n_lost: int = 0

    def to_json(self) -> dict[str, Any]:
        """The outcome as plain values."""
        return {
            "run": str(self.path),
            "version": self.version,
            "replaced": self.replaced,
            "new_rows": self.n_new,
            "reason": self.reason or None,
            "window": self.window,
            "metric": self.metric or None,
            "champion": _plain(self.champion),
            "challenger": _plain(self.challenger),
            "seasonal_naive": _plain(self.seasonal_naive),
            "failures": self.n_lost,
            "scores": metrics_json(self.scores) if self.scores else None,
        }


def update(
    path: Path,
    source: str | Path | pd.DataFrame,
    *,
    keep: int = KEEP,
    window: int | None = None,
    cut: Cut = NO_CUT,
    watcher: Watcher | None = None,
    command: Sequence[str] = (),
    wait: float | None = 0.0,
) -> Updated:
    """Lets a copy of a run's model learn from new rows, and puts it in the run's place where it forecasts better.

    The two are judged by their forecasts of the newest steps of each series, which neither has seen. The copy learns
    from these too once it has won (with ``training.final_fit``), and is written. The old version is kept in the folder.

    Args:
        path: the run folder.
        source: the rows as in training, with the new ones after them.
        keep: older versions to keep.
        window: newest steps to judge by; None takes the horizon, or half of the new rows where those are fewer and
            still enough to tell.
        cut: what is left out at the end.
        watcher: progress and stop signals.
        command: what the user typed, for the receipt.
        wait: seconds to wait while another command writes the run; None for ever.

    Raises:
        ConfigError: the folder cannot be written.
        DataError: the data cannot be used as it is.
        LockedError: another command writes the run.
        RunError: the folder is missing or damaged, or the data does not fit it.
        StoppedError: a signal came; the run is as it was.
    """
    started = Started(command)
    device = open_run(path).config.runtime.device  # read before the lock, which leaves a file beside the run
    with locked([path], command=started.shown or "update", wait=wait, tell=log.info):
        champion = load_run(path, device=device, also=(HISTORY,))
        check_target(path, overwrite=True)
        use_threads(champion.config)
        if champion.config.runtime.deterministic:
            be_deterministic()
        try:
            return _update(
                champion,
                source,
                keep=keep,
                window=window,
                cut=cut,
                watcher=watcher or Watcher(),
                started=started,
            )
        except StoppedError as stop:
            message = f"{path}: the update was stopped by signal {stop.number}; the run is as it was."
            raise StoppedError(message, stop.number) from stop


def rollback(path: Path, *, wait: float | None = 0.0) -> int:
    """Puts the newest older version that a run keeps in its place, and returns its number; what stood there goes.

    Args:
        path: the run folder.
        wait: seconds to wait while another command writes the run; None for ever.

    Raises:
        ConfigError: the folder cannot be written.
        LockedError: another command writes the run.
        RunError: it keeps no older version, or is missing.
    """
    refuse_without_versions(path)
    with locked([path], command="rollback", wait=wait, tell=log.info):
        return restore_version(path)


def report(updated: Updated) -> str:
    """The outcome in words, with the scores it rests on."""
    path = updated.path
    if updated.scores is None:
        return f"{updated.reason} {path} stays at version {updated.version}.\n"
    scores = updated.scores
    table = replace(scores, by_model=scores.by_model.rename(index={updated.name: CHALLENGER}))
    lines = [
        f"{updated.n_new} new rows; judged by the newest {updated.window} of {scores.n_series} series, unseen by both",
        "",
        model_lines(table, SHOWN),
        legend(SHOWN, season_length=scores.season_length),
        _verdict(updated),
    ]
    if updated.replaced:
        back = f"`tsforecast rollback {path}` brings back what it was" if updated.kept else "no other is kept"
        lines.append(f"{path} is version {updated.version} now; {back}.")
    else:
        lines.append(
            f"{path} stays at version {updated.version}; `tsforecast predict {path} DATA` forecasts from new rows."
        )
    return "\n".join(lines) + "\n"


def _verdict(updated: Updated) -> str:
    """Who won by how much, and whether the winner is worth anything."""
    metric, champion, challenger = updated.metric.upper(), updated.champion, updated.challenger
    if math.isnan(champion) or math.isnan(challenger):
        return "The champion stays: nothing of the newest rows can be scored."
    change = abs(challenger / champion - 1) if champion else math.inf
    size = f"{100 * change:.1f} %" if math.isfinite(change) and change >= 0.0005 else "hardly"
    if updated.replaced:
        text = f"The challenger wins: {metric} {challenger:.4g}, {size} better than the champion's {champion:.4g}."
    elif challenger == champion:
        text = f"The champion stays: {metric} {champion:.4g}, and the challenger's is the same."
    else:
        text = (
            f"The champion stays: {metric} {champion:.4g}; the challenger's {challenger:.4g} is {size} worse."
        )
    best, naive = min(champion, challenger), updated.seasonal_naive
    if not math.isnan(naive) and best >= naive:
        text += f" The seasonal naive beats both with {naive:.4g}."
    return text


def _update(
    champion: LoadedRun,
    source: str | Path | pd.DataFrame,
    *,
    keep: int,
    window: int | None,
    cut: Cut,
    watcher: Watcher,
    started: Started,
) -> Updated:
    where = name_of(str(source)) if isinstance(source, (str, Path)) else "data"
    read = read_like(champion, source, cut)
    tell_failures(read.failures)
    panel = read.panel
    _tell_gone(champion, panel, where=where)
    new = _new_rows(champion, panel)
    n_new = int(new[np.isin(panel.unique_ids, champion.model.unique_ids)].max(initial=0))
    outcome = Updated(champion.path, champion.version, replaced=False, n_new=n_new, n_lost=len(read.lost))
    steps = window or min(champion.config.horizon, n_new // 2)
    if reason := _why_wait(champion, new, n_new, steps, is_asked=window is not None):
        return replace(outcome, reason=reason)
    log.info("%s: %d new rows, the newest %d to judge by", champion.path, n_new, steps)
    challenger = _challenger(champion, champion.model, panel.drop_last(steps), watcher, where=where)
    test = _judged(champion, challenger, panel, np.flatnonzero(new >= steps), steps, where=where)
    outcome = _compared(outcome, test.scores, challenger, name=model_name(champion.config), window=steps)
    if not outcome.challenger < outcome.champion:
        return outcome
    made = _won(champion, challenger, read, test, cut, steps=steps, watcher=watcher, where=where)
    made.origin["update"] = {name: value for name, value in outcome.to_json().items() if name in TOLD}
    receipt = started.receipt(
        champion.config,
        device=champion.model.device,
        data=_found_anywhere(str(source)) if isinstance(source, (str, Path)) else "data frame",
        data_hash=made.origin["data_hash"],
        updated_from=champion.version,
    )
    with next_version(champion.path, version=champion.version, keep=keep) as folder:
        write_run(folder, made, receipt=receipt)
    return replace(
        outcome, replaced=True, version=made.origin["version"], kept=len(version_names(champion.path))
    )


def remake(
    champion: LoadedRun, read: Isolated, cut: Cut, *, window: int, where: str, watcher: Watcher | None = None
) -> Made:
    """What an update made that its challenger won, made again.

    Args:
        champion: the version before it, with the settings to compute with and its history.
        read: the rows as the update read them.
        cut: what was left out at their end.
        window: newest steps that it was judged by.
        where: what was read, for messages.
        watcher: progress and stop signals.

    Raises:
        DataError: no series is long enough.
        StoppedError: a signal came.
    """
    use_threads(champion.config)
    if champion.config.runtime.deterministic:
        be_deterministic()
    watcher = watcher or Watcher()
    panel = read.panel
    challenger = _challenger(champion, champion.model, panel.drop_last(window), watcher, where=where)
    new = np.flatnonzero(_new_rows(champion, panel) >= window)
    test = _judged(champion, challenger, panel, new, window, where=where)
    return _won(champion, challenger, read, test, cut, steps=window, watcher=watcher, where=where)


def _won(
    champion: LoadedRun,
    challenger: FittedModel,
    read: Isolated,
    test: Test,
    cut: Cut,
    *,
    steps: int,
    watcher: Watcher,
    where: str,
) -> Made:
    """What takes the champion's place: the challenger, which now learns from the rows it was judged by."""
    final_fit = champion.config.training.final_fit
    if final_fit:
        challenger = _challenger(champion, challenger, read.panel, watcher, where=where)
    return _made(champion, challenger, read, test, cut, held_back=0 if final_fit else steps)


def _found_anywhere(source: str) -> str:
    """A source by a name that means the same from another folder."""
    return str(Path(source).absolute()) if kind_of(source) == "files" else source


def _why_wait(champion: LoadedRun, new: IntArray, n_new: int, steps: int, *, is_asked: bool) -> str:
    """Why there are not enough new rows for an update, empty where there are; the next one may find more."""
    if n_new == 0:
        return "No row is new."
    found = "1 row is new" if n_new == 1 else f"{n_new} rows are new"
    if n_new <= steps or steps == 0:
        return f"{found}, and more than {max(steps, 1)} are needed, to learn from and to judge by."
    n_series = int((new >= steps).sum())
    if not is_asked and steps < champion.config.horizon and steps * n_series < ENOUGH_VALUES:
        return (
            f"{found}, too few to tell which model is better by half of them ({steps} of {n_series} series; "
            f"--window {steps} judges by those all the same)."
        )
    return ""


def _new_rows(run: LoadedRun, panel: Panel) -> IntArray:
    """Rows at the end of each series that the run has not learned from, ``(n_series,)``; all of an unknown one."""
    until = learned_until(run, panel.axis)
    last = panel.positions(panel.last_cutoffs)
    learned = np.array([until.get(name, -1) for name in panel.unique_ids], dtype=np.int64)
    seen = np.array([name in until for name in panel.unique_ids], dtype=np.bool_)
    new: IntArray = np.where(seen, np.maximum(last - learned, 0), panel.lengths)
    return np.minimum(new, panel.lengths)


def _tell_gone(run: LoadedRun, panel: Panel, *, where: str) -> None:
    if gone := sorted(set(run.model.unique_ids) - set(panel.unique_ids)):
        log.warning(
            "%s: %d series of the run have no row, so a new version does not know them: %s",
            where,
            len(gone),
            listed(gone),
        )


def _challenger(
    champion: LoadedRun, model: FittedModel, panel: Panel, watcher: Watcher, *, where: str
) -> FittedModel:
    """The model after a warm start on the rows of a panel."""
    panel = panel.select(np.flatnonzero(panel.lengths > 0))
    try:
        return learn_on(
            model,
            panel,
            champion.config,
            since=panel.offsets[1:] - _new_rows(champion, panel),
            best_steps=_best_steps(champion),
            seed=champion.version,
            device=champion.model.device,
            watcher=watcher,
        )
    except DataError as error:
        raise DataError(
            f"{where}: {error} An update reads the rows of the training and the new ones after them, not the new ones "
            "alone.",
            code=error.code,
        ) from error


def _judged(
    champion: LoadedRun, challenger: FittedModel, panel: Panel, series: IntArray, steps: int, *, where: str
) -> Test:
    """Scores of both models and the baselines on the newest steps of the series where these are new to both."""
    config = champion.config
    cutoffs = panel.last_cutoffs[series]
    cutoffs = Cutoffs(cutoffs.series, cutoffs.rows - steps)
    cutoffs = cutoffs[np.flatnonzero(known_ahead(panel, cutoffs) >= steps)]
    if not len(cutoffs):
        raise DataError(
            f"{where}: the future covariates are not known over the newest {steps} steps, so nothing can be judged; "
            "give their values."
        )
    levels = config.forecast.quantile_levels
    made = {
        name: forecast_values(model, panel, cutoffs, steps, quantile_levels=levels)
        for name, model in ((model_name(config), challenger), (CHAMPION, champion.model))
    }
    asked = {"split": config.split.model_copy(update={"test": steps}), "horizon": steps}
    scores = score_with_baselines(
        panel,
        cutoffs,
        config.model_copy(update=asked),
        {name: values[..., 0] for name, values in made.items()},
        quantiles={name: values[..., 1:] for name, values in made.items()} if levels else None,
    )
    frame = frame_of(panel, cutoffs, made[model_name(config)], quantile_levels=levels)
    return Test(scores=scores, cutoffs=cutoffs, forecast=frame)


def _compared(
    outcome: Updated, scores: Scores, challenger: FittedModel, *, name: str, window: int
) -> Updated:
    """The outcome with what the models were judged by: as in training, squares where a mean is forecast."""
    table = scores.by_model
    metrics = SQUARED if judged_by_squares(challenger.network) else ABSOLUTE
    metric = next((one for one in metrics if table.loc[[name, CHAMPION], one].notna().all()), metrics[-1])
    found = table[metric]
    return replace(
        outcome,
        scores=scores,
        name=name,
        window=window,
        metric=metric,
        champion=float(found[CHAMPION]),
        challenger=float(found[name]),
        seasonal_naive=float(found["seasonal_naive"]),
    )


def _made(
    champion: LoadedRun, model: FittedModel, read: Isolated, test: Test, cut: Cut, *, held_back: int
) -> Made:
    """What is written in place of the champion; its training curve stays that of the training it goes back to."""
    config, panel = champion.config, read.panel
    fallbacks = tuple(newest_rows(one, model.features.history + config.horizon) for one in read.fallbacks)
    trained = Trained(
        path=champion.path,
        config=config,
        model=model,
        fits=_fits_of(champion),
        validation=_validation_of(champion.metrics),
        panel=panel,
        scores=test.scores,
        forecast=last_forecast(model, panel, fallbacks, config),
        repairs=read.repairs,
        fallbacks=fallbacks,
        failures=read.failures,
        cut=cut,
        left_out=read.left_out,
    )
    origin = {
        "data_hash": data_hash(panel),
        "repairs": read.repairs,
        "auto": list(champion.auto),
        "budget": champion.budget,
        "version": champion.version + 1,
        "held_back": held_back,
    }
    return Made(trained, test, origin, model.device)


def _best_steps(champion: LoadedRun) -> list[int]:
    """Steps to the best weights of each member, 0 where that is not known."""
    found = champion.metrics.get("best_step") or 0
    n_members = len(champion.model.network.members)
    return found if isinstance(found, list) else [found] * n_members


def _fits_of(champion: LoadedRun) -> tuple[Fit, ...]:
    """What is known of the training of each member."""
    lines = [json.loads(line) for line in champion.files.get(HISTORY, b"").decode().splitlines()]
    fits = []
    for number, (member, best) in enumerate(
        zip(champion.model.network.members, _best_steps(champion), strict=True), start=1
    ):
        own = [line for line in lines if line.get("member", 1) == number]
        history = [{name: value for name, value in line.items() if name != "member"} for line in own]
        fits.append(Fit(member, best_step=best, history=history))
    fits[0].step, fits[0].seconds = champion.metrics.get("steps", 0), champion.metrics.get("seconds", 0.0)
    return tuple(fits)


def _validation_of(metrics: Mapping[str, Any]) -> float:
    return next(
        (metrics[name] for name in ("validation_rmsse", "validation_mase") if name in metrics), math.nan
    )


def _plain(value: float) -> float | None:
    return value if math.isfinite(value) else None
