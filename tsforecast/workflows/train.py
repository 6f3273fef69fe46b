"""Training, from a config to a run folder: the whole flow, in order."""

from __future__ import annotations

import hashlib
import json
import logging
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, cast

import numpy as np
import pandas as pd
import torch

from tsforecast import __version__
from tsforecast.config.load import dump_config
from tsforecast.config.schema import Config
from tsforecast.config.words import listed
from tsforecast.errors import ConfigError, DataError, QualityGateError, StoppedError
from tsforecast.evaluation.baselines import BASELINES
from tsforecast.evaluation.scores import Scores, metrics_json, rolling_cutoffs, score, scores_text
from tsforecast.features.auto import auto_keys, resolve
from tsforecast.forecasting.forecast import (
    FittedModel,
    forecast,
    forecast_frame,
    forecast_values,
    frame_of,
    known_ahead,
)
from tsforecast.forecasting.intervals import Spread
from tsforecast.forecasting.stored import to_storage
from tsforecast.pictures.plots import plot_error_by_lead_time, plot_training_curve
from tsforecast.runs import RECEIPT, check_target, new_run, write_model
from tsforecast.runtime import be_deterministic, choose_device, set_precision, set_threads
from tsforecast.series.cut import NO_CUT, Cut, cut_table
from tsforecast.series.faults import read_apart
from tsforecast.series.isolate import FALLBACK, Failure, Isolated, isolated_panel, not_forecast
from tsforecast.series.panel import Cutoffs, FloatArray, Panel, data_hash
from tsforecast.series.read import name_of
from tsforecast.storage.atomic import write_text
from tsforecast.storage.lock import locked
from tsforecast.training.checkpoint import load_checkpoint, remove_checkpoint
from tsforecast.training.fit import Watcher
from tsforecast.training.learn import Learned, judged_by_squares, learn, learn_all, within_budget
from tsforecast.training.state import Fit
from tsforecast.workflows.fallback import (
    failures_csv,
    newest_rows,
    tell_failures,
    with_fallbacks,
    without_wrong_values,
)
from tsforecast.workflows.lengths import UNTRAINED, refuse_lengths, short_series
from tsforecast.workflows.pictures import draw_forecasts
from tsforecast.workflows.predict import csv_text
from tsforecast.workflows.receipt import Started

__all__ = [
    "FAILURES",
    "Made",
    "Test",
    "Trained",
    "check_skill",
    "last_forecast",
    "make",
    "model_name",
    "read_data",
    "refuse_long_horizon",
    "report",
    "resolve_and_part",
    "score_test",
    "score_with_baselines",
    "test_cutoffs",
    "train",
    "use_threads",
    "write_run",
]

log = logging.getLogger(__name__)

FAILURES = "failures.csv"


@dataclass(frozen=True, slots=True, eq=False)
class Trained:
    """What a training leaves.

    Attributes:
        path: the run folder.
        config: with every ``auto`` resolved.
        model: as saved.
        fits: how the training went, of each member of the ensemble.
        validation: score of the whole on the validation part.
        panel: the data, all rows.
        scores: on the test part, or None where nothing was held back for it.
        forecast: from the end of each series.
        repairs: how much was repaired, by kind.
        fallbacks: series that the seasonal naive forecasts.
        failures: those, and the series that are left out.
        cut: what was left out at the end.
        left_out: rows that this were.
    """

    path: Path
    config: Config
    model: FittedModel
    fits: tuple[Fit, ...]
    validation: float
    panel: Panel
    scores: Scores | None
    forecast: pd.DataFrame
    repairs: dict[str, int]
    fallbacks: tuple[Panel, ...] = ()
    failures: tuple[Failure, ...] = ()
    cut: Cut = NO_CUT
    left_out: int = 0

    @property
    def fit(self) -> Fit:
        """How the training of the first network went; mostly there is one."""
        return self.fits[0]

    @property
    def history(self) -> list[dict[str, Any]]:
        """One record per validation, of several networks with the number of each."""
        if len(self.fits) == 1:
            return self.fit.history
        return [
            {"member": number} | record
            for number, done in enumerate(self.fits, start=1)
            for record in done.history
        ]

    @property
    def lost(self) -> tuple[Failure, ...]:
        """The series that nothing forecasts."""
        return not_forecast(self.failures)

    @property
    def fell_back(self) -> float:
        """Share of the network's series that the seasonal naive forecasts because it was no worse."""
        chosen = self.model.falls_back
        return 0.0 if chosen is None else float(chosen.mean())

    @property
    def metrics(self) -> dict[str, Any]:
        """What ``metrics.json`` holds."""
        return {
            "model": model_name(self.config),
            "y_hat": _kind_of_point(self.model),
            "intervals": _intervals(self.model.spread),
            f"validation_{_validated_by(self.model).lower()}": self.validation,
            "members": len(self.fits),
            "best_step": self.fit.best_step
            if len(self.fits) == 1
            else [done.best_step for done in self.fits],
            "steps": sum(done.step for done in self.fits),
            "seconds": round(sum(done.seconds for done in self.fits), 3),
            "fell_back": self.fell_back,
            "test": metrics_json(self.scores) if self.scores else None,
        }


def train(
    config: Config,
    *,
    path: Path,
    overwrite: bool = False,
    resume: bool = False,
    source: pd.DataFrame | None = None,
    cut: Cut = NO_CUT,
    watcher: Watcher | None = None,
    command: Sequence[str] = (),
    wait: float | None = 0.0,
) -> Trained:
    """Reads, trains, scores, learns from the held-back part, forecasts, and writes the run folder.

    Args:
        config: as loaded.
        path: the run folder to make.
        overwrite: replace a run that is there.
        resume: go on from the checkpoint of an interrupted training.
        source: data to use instead of ``data.path``.
        cut: what is left out at the end.
        watcher: progress and stop signals.
        command: what the user typed, for the receipt.
        wait: seconds to wait while another command writes the run; None for ever.

    Raises:
        ConfigError: settings that do not fit each other, the data or this machine.
        DataError: the data cannot be used as it is.
        LockedError: another command writes the run.
        StoppedError: a signal came; ``resume`` goes on from there.
    """
    started = Started(command)
    path, checkpoint = _places(path)
    # Twice: the lock leaves a file beside the run, and whoever held it may have come first.
    _check_start(path, checkpoint, overwrite=overwrite, resume=resume)
    with locked([path], command=started.shown or "train", wait=wait, tell=log.info):
        _check_start(path, checkpoint, overwrite=overwrite, resume=resume)
        made = make(
            config,
            path=path,
            checkpoint=checkpoint,
            resume=resume,
            source=source,
            cut=cut,
            watcher=watcher,
        )
        receipt = made.receipt(started, source=source, resumed=resume)
        try:
            with new_run(path, overwrite=overwrite or resume) as folder:
                write_run(folder, made, receipt=receipt)
        except StoppedError as stop:
            raise StoppedError(f"{stop} {_way_on(checkpoint)}", stop.number) from stop
        remove_checkpoint(checkpoint)
    return made.trained


@dataclass(frozen=True, slots=True, eq=False)
class Made:
    """A training that is done and not yet written.

    Attributes:
        trained: what it leaves.
        test: how the model did on the test part.
        origin: what else ``model.json`` tells.
        device: it was computed on.
    """

    trained: Trained
    test: Test | None
    origin: dict[str, Any]
    device: torch.device

    def receipt(self, started: Started, *, source: object, **more: Any) -> dict[str, Any]:
        """What ``run.json`` holds, as of now; ``source`` is a data frame, or None for ``data.path``."""
        config = self.trained.config
        return started.receipt(
            config,
            device=self.device,
            data=config.data.path if source is None else "data frame",
            data_hash=self.origin["data_hash"],
            **more,
        )


def make(
    config: Config,
    *,
    path: Path,
    checkpoint: Path | None = None,
    resume: bool = False,
    source: pd.DataFrame | None = None,
    cut: Cut = NO_CUT,
    watcher: Watcher | None = None,
) -> Made:
    """The whole of a training but for the writing; arguments and errors as of :func:`train`.

    Args:
        config: as loaded.
        path: the run folder it is for.
        checkpoint: folder to save to on the way, and to go on from with ``resume``; None saves nothing.
        resume: go on from the checkpoint.
        source: data to use instead of ``data.path``.
        cut: what is left out at the end.
        watcher: progress and stop signals.
    """
    asked, device = config, _chosen_device(config)
    where = name_of(config.data.path) if source is None else "data frame"
    config, read = resolve_and_part(config, read_data(config, source, cut))
    refuse_lengths(read.panel, config, where)
    use_threads(config)
    _tell_data(config, read, where=where)
    config = _with_steps(config, read.panel, checkpoint if resume else None, device=device)
    if checkpoint and not resume:
        _discard(checkpoint, path)
    try:
        learned = learn(
            read.panel.drop_last(cast(int, config.split.test)),
            config,
            device=device,
            checkpoint=checkpoint,
            fingerprint=_fingerprint(config, read.panel, cut),
            watcher=watcher,
        )
        _tell_doubts(learned.model)
        test = score_test(learned.model, read.panel, config)
        model = (
            learn_all(learned, read.panel, device=device, watcher=watcher)
            if config.training.final_fit
            else learned.model
        )
        trained = _trained(path, learned, model, read, test, cut)
    except StoppedError as stop:
        if checkpoint is None:
            raise
        raise StoppedError(f"{stop} {_way_on(checkpoint)}", stop.number) from stop
    return Made(trained, test, _origin(asked, trained), device)


def _chosen_device(config: Config) -> torch.device:
    """Where it is computed, set up as the config says."""
    if config.runtime.deterministic:
        be_deterministic()
    device = choose_device(config.runtime.device)
    set_precision(config.runtime.precision, device)
    return device


def _discard(checkpoint: Path, path: Path) -> None:
    if checkpoint.exists():
        log.warning("%s: an interrupted training is discarded; --resume would have gone on with it", path)
        remove_checkpoint(checkpoint)


def _trained(
    path: Path, learned: Learned, model: FittedModel, read: Isolated, test: Test | None, cut: Cut
) -> Trained:
    """What the training leaves, with the forecast from the end of the data."""
    config = learned.config
    # As stored, so that the run forecasts them alike later.
    fallbacks = tuple(newest_rows(one, model.features.history + config.horizon) for one in read.fallbacks)
    return Trained(
        path=path,
        config=config,
        model=model,
        fits=learned.fits,
        validation=learned.score,
        panel=read.panel,
        scores=test.scores if test else None,
        forecast=last_forecast(model, read.panel, fallbacks, config),
        repairs=read.repairs,
        fallbacks=fallbacks,
        failures=read.failures,
        cut=cut,
        left_out=read.left_out,
    )


def _origin(asked: Config, trained: Trained) -> dict[str, Any]:
    """What ``model.json`` tells of where the model comes from."""
    config = trained.config
    return {
        "data_hash": data_hash(trained.panel),
        "repairs": trained.repairs,
        "auto": _auto_keys(asked, config),
        "budget": asked.training.budget,
        "version": 1,
        "held_back": 0 if config.training.final_fit else config.split.test,
    }


def use_threads(config: Config) -> None:
    """Sets torch's CPU threads as a resolved config says; sums in one order need one thread, unless told otherwise."""
    runtime = config.runtime
    threads = 1 if runtime.deterministic and runtime.threads == "auto" else runtime.threads
    set_threads(threads, hidden_size=cast(int, config.model.hidden_size))


def read_data(config: Config, source: pd.DataFrame | None = None, cut: Cut = NO_CUT) -> Isolated:
    """The data a config names, bad series set apart as its ``data.on_bad_series`` says.

    Raises:
        ConfigError: the cut does not fit the data.
        DataError: the data cannot be used as it is, or is shorter than the horizon.
    """
    where = name_of(config.data.path) if source is None else "data frame"
    table, apart = read_apart(config.data, source)
    left = cut_table(table, config.data, cut, where=where)
    read = isolated_panel(left.table, config.data, where=where, apart=apart)
    read = without_wrong_values(read, left.table, config, where=where)
    refuse_long_horizon(config, read.panel, where)
    return replace(read, failures=(*read.failures, *left.failures), left_out=left.n_rows)


def resolve_and_part(config: Config, read: Isolated) -> tuple[Config, Isolated]:
    """The config with every ``auto`` written out, and the data without what is too short to learn from.

    With ``data.on_bad_series: fail`` a short series stays: it is forecast by what the others teach.
    """
    resolved = resolve(config, read.panel)
    short = {
        name: f"{count} rows are too few to learn from"
        for found in short_series(read.panel, resolved)
        if found.code == UNTRAINED
        for name, count in zip(found.unique_ids, found.n_rows, strict=True)
    }
    parted = read.without(short, code=UNTRAINED, policy=config.data.on_bad_series)
    return (resolved if parted is read else resolve(config, parted.panel)), parted


def report(trained: Trained) -> str:
    """The scores as a table with a sentence, and what was repaired, for people."""
    return _cut_text(trained) + _repairs_text(trained) + _failures_text(trained) + _scores_or_why_not(trained)


def _failures_text(trained: Trained) -> str:
    """A line about the series the network has nothing to do with, or nothing."""
    lost = len(trained.lost)
    parts = [(lost, "left out"), (len(trained.failures) - lost, f"forecast by {FALLBACK}")]
    text = ", ".join(f"{count} series {done}" for count, done in parts if count)
    return f"Not learned from: {text}; {FAILURES} lists them\n" if text else ""


def _cut_text(trained: Trained) -> str:
    """A line about the rows that were left out at the end, or nothing."""
    return f"Left out: {trained.left_out} rows ({trained.cut.text})\n" if trained.cut else ""


def _repairs_text(trained: Trained) -> str:
    """A line about what was repaired and how, or nothing."""
    policies = trained.config.data.repair.model_dump()
    done = [f"{count} {kind} ({policies[kind]})" for kind, count in trained.repairs.items() if count]
    return f"Repaired: {', '.join(done)}\n" if done else ""


def _scores_or_why_not(trained: Trained) -> str:
    if trained.scores:
        return scores_text(trained.scores, model_name=model_name(trained.config))
    return (
        "No test part was held back: split.test is 0, or the series are too short for one. Validation "
        f"{_validated_by(trained.model)} of {model_name(trained.config)}: {trained.validation:.3f}.\n"
    )


def check_skill(trained: Trained, required: float) -> None:
    """The quality gate of ``--require-skill``.

    Raises:
        QualityGateError: the skill is not above ``required``, or was not measured.
    """
    skill = None
    if trained.scores:
        skill = trained.scores.by_model["skill"].to_dict()[model_name(trained.config)]
    if skill is None or not skill > required:
        found = "was not measured (no rows are held back for a test)"
        if skill is not None:
            found = "is undefined (no series ever changes)" if math.isnan(skill) else f"is {skill:.3f}"
        raise QualityGateError(
            f"{trained.path}: the skill {found}, --require-skill asks for more than {required:g}; the run is written."
        )


def model_name(config: Config) -> str:
    """The network's row in tables: its cell, with ``bi`` in front when it reads both ways."""
    return ("bi" if config.model.bidirectional else "") + config.model.cell


def _places(path: Path) -> tuple[Path, Path]:
    """The run folder and its checkpoint."""
    path = path if path.name else path.resolve()
    if not path.name:
        raise ConfigError(f"--run: {str(path)!r} cannot be a run folder; name one below it.")
    return path, path.with_name(f".{path.name}.train")


def _check_start(path: Path, checkpoint: Path, *, overwrite: bool, resume: bool) -> None:
    """Refuses now what would be refused after hours of training."""
    if not resume:
        check_target(path, overwrite=overwrite)
    elif load_checkpoint(checkpoint) is None:
        raise ConfigError(f"{path}: there is no interrupted training to resume; train without --resume.")


def _tell_data(config: Config, read: Isolated, *, where: str) -> None:
    """What was read, and what about it the user should know before the training."""
    log.info("%s", _data_summary(config, read.panel, read.repairs))
    _warn_of_short_split(config)
    for warning in short_series(read.panel, config):
        log.warning("%s: %s", where, warning.text)
    tell_failures(read.failures)


def _with_steps(config: Config, panel: Panel, resumed: Path | None, *, device: torch.device) -> Config:
    """The config with a budget in time turned into steps: timed now, or as it was before the interruption."""
    stored = load_checkpoint(resumed) if resumed and config.training.budget else None
    if stored is None:
        return within_budget(panel.drop_last(cast(int, config.split.test)), config, device=device)
    steps = {"budget": None, "max_steps": stored[1]["planned"]}
    return config.model_copy(update={"training": config.training.model_copy(update=steps)})


def _auto_keys(asked: Config, resolved: Config) -> list[str]:
    """The keys to resolve anew for other rows; the steps of a budget are those it once came to."""
    kept = {"training.max_steps"} if asked.training.budget else set()
    return [key for key in auto_keys(asked, resolved) if key not in kept]


def _tell_doubts(model: FittedModel) -> None:
    """What about the model the user should know."""
    if doubt := model.spread.doubt:
        log.warning("%s", doubt)
    _tell_falls_back(model)


def _tell_falls_back(model: FittedModel) -> None:
    """Names the series that the network would forecast no better than the seasonal naive."""
    if model.falls_back is None or not model.falls_back.any():
        return
    names = [model.unique_ids[series] for series in np.flatnonzero(model.falls_back)]
    log.warning(
        "forecast.fallback: %d of %d series are forecast by the seasonal naive, which the network did not beat on the "
        "validation part: %s",
        len(names),
        len(model.unique_ids),
        listed(names),
    )


def _way_on(checkpoint: Path) -> str:
    if not checkpoint.exists():
        return "Nothing is kept of it; train again."
    return f"{checkpoint} keeps where it stands; --resume goes on from there."


def _data_summary(config: Config, panel: Panel, repairs: dict[str, int]) -> str:
    lengths = panel.lengths
    rows = f"{lengths.min()}" if lengths.min() == lengths.max() else f"{lengths.min()} to {lengths.max()}"
    mended = "".join(f", {count} {name} repaired" for name, count in repairs.items() if count)
    split = config.split
    return (
        f"{panel.n_series} series of {rows} steps at frequency {panel.axis.freq!r}{mended}; "
        f"season {config.season_length}, lookback {config.lookback}, "
        f"validation {split.validation}, calibration {split.calibration} and test {split.test} steps"
    )


def refuse_long_horizon(config: Config, panel: Panel, where: str) -> None:
    """Refuses a horizon that no series has.

    Raises:
        DataError: no series is longer than the horizon.
    """
    longest = int(panel.lengths.max())
    if config.horizon >= longest:
        raise DataError(
            f"{where}: horizon: {config.horizon} steps ahead cannot be learned from series of at most {longest} rows; "
            "lower horizon, or give longer series.",
            code="L501",
        )


def _warn_of_short_split(config: Config) -> None:
    for name in ("validation", "calibration", "test"):
        steps = getattr(config.split, name)
        if isinstance(steps, int) and 0 < steps < config.horizon:
            log.warning(
                "split.%s: only %d step(s) are held back, fewer than the horizon of %d; later lead times go unseen",
                name,
                steps,
                config.horizon,
            )


def _fingerprint(config: Config, panel: Panel, cut: Cut) -> str:
    """Stands for everything the weights depend on, and for how the run came to its data."""
    return hashlib.sha256((dump_config(config) + data_hash(panel) + cut.text).encode()).hexdigest()


@dataclass(frozen=True, slots=True, eq=False)
class Test:
    """How the model did on the test part: its scores, and the newest window of each series to look at."""

    scores: Scores
    cutoffs: Cutoffs
    forecast: pd.DataFrame


def last_forecast(
    model: FittedModel, panel: Panel, fallbacks: tuple[Panel, ...], config: Config
) -> pd.DataFrame:
    """The forecast from the end of each series, as far ahead as the future covariates are known."""
    cutoffs = panel.last_cutoffs
    steps = min(config.horizon, int(known_ahead(panel, cutoffs).min()))
    if steps < config.horizon:
        log.warning(
            "the future covariates are known %d of %d steps ahead of the last rows: %s",
            steps,
            config.horizon,
            "no forecast is written; give them to `tsforecast predict --future FILE`"
            if steps == 0
            else "the forecast written ends there",
        )
    levels = config.forecast.quantile_levels
    return with_fallbacks(
        forecast_frame(model, panel, cutoffs, steps, quantile_levels=levels),
        fallbacks,
        horizon=config.horizon,
        season_length=model.features.season_length,
        quantile_levels=levels,
        non_negative=model.non_negative,
    )


def score_test(model: FittedModel, panel: Panel, config: Config) -> Test | None:
    """Scores of the model and the baselines, all from the same cutoffs; None where no row was held back."""
    cutoffs, horizon = test_cutoffs(panel, config), _scored_steps(config)
    if not len(cutoffs):
        return None
    name, levels = model_name(config), config.forecast.quantile_levels
    made = forecast_values(model, panel, cutoffs, horizon, quantile_levels=levels)
    alone: dict[str, FloatArray] = {}
    if model.falls_back is not None and model.falls_back.any():
        network_only = replace(model, falls_back=None)
        alone = {f"{name}_alone": forecast(network_only, panel, cutoffs, horizon).y_hat}
    newest = np.flatnonzero(np.append(np.diff(cutoffs.series) != 0, True))
    return Test(
        scores=score_with_baselines(
            panel,
            cutoffs,
            config,
            {name: made[..., 0]} | alone,
            quantiles={name: made[..., 1:]} if levels else None,
        ),
        cutoffs=cutoffs[newest],
        forecast=frame_of(panel, cutoffs[newest], made[newest], quantile_levels=levels),
    )


def test_cutoffs(panel: Panel, config: Config) -> Cutoffs:
    """Where the forecasts of the test part start; none where no row is held back."""
    test = cast(int, config.split.test)
    if test == 0:
        return panel.last_cutoffs[np.empty(0, np.int64)]
    return rolling_cutoffs(panel, horizon=_scored_steps(config), test=test)


def score_with_baselines(
    panel: Panel,
    cutoffs: Cutoffs,
    config: Config,
    forecasts: Mapping[str, FloatArray],
    *,
    quantiles: Mapping[str, FloatArray] | None = None,
) -> Scores:
    """Scores of forecasts, with their quantiles, and of every baseline, all from the same cutoffs."""
    horizon, season = _scored_steps(config), cast(list[int], config.season_length)[0]
    beside = {name: baseline(panel, cutoffs, horizon, season) for name, baseline in BASELINES.items()}
    return score(
        panel,
        cutoffs,
        {**forecasts, **beside},
        season_length=season,
        quantiles=quantiles,
        levels=config.forecast.quantile_levels if quantiles else (),
    )


def _scored_steps(config: Config) -> int:
    """Steps of each forecast of the test part."""
    return min(config.horizon, cast(int, config.split.test))


def write_run(folder: Path, made: Made, *, receipt: Mapping[str, Any]) -> None:
    """The files and pictures of the run folder; the manifest comes after them."""
    _write(folder, made.trained, origin=made.origin)
    _draw(folder / "plots", made.trained, made.test)
    write_text(folder / RECEIPT, json.dumps(receipt, indent=2) + "\n")


def _write(folder: Path, trained: Trained, *, origin: Mapping[str, Any]) -> None:
    config, panel, scores = trained.config, trained.panel, trained.scores
    kept = trained.model.features.history + trained.model.transform.difference + config.horizon
    values, arrays = to_storage(trained.model, panel.tail(kept), trained.fallbacks)
    values |= {
        "tsforecast": __version__,
        "cell": model_name(config),
        "y_hat": _kind_of_point(trained.model),
        "intervals": _intervals(trained.model.spread),
        "training_range": _training_range(panel),
        "n_rows": len(panel.y),
        "final_fit": config.training.final_fit,
        "left_out": trained.cut.to_json() | {"rows": trained.left_out},
        **origin,
    }
    write_model(folder, model=values, arrays=arrays)
    write_text(folder / "config.yaml", dump_config(config))
    write_text(folder / "metrics.json", json.dumps(trained.metrics, indent=2) + "\n")
    write_text(folder / "history.jsonl", "".join(json.dumps(line) + "\n" for line in trained.history))
    write_text(folder / "forecast.csv", csv_text(trained.forecast, panel.axis))
    if trained.failures:
        write_text(folder / FAILURES, failures_csv(trained.failures))
    if scores:
        write_text(folder / "scores.csv", scores.by_series.to_csv(index=False))
        write_text(folder / "by_lead_time.csv", scores.by_lead_time.to_csv(index=False))


def _draw(folder: Path, trained: Trained, test: Test | None) -> None:
    """The pictures of the run folder."""
    folder.mkdir()
    panel, target = trained.panel, trained.config.data.target
    y_label = target if isinstance(target, str) else ""
    if trained.forecast["unique_id"].isin(panel.unique_ids).any():
        draw_forecasts(folder / "forecast.png", panel, panel.last_cutoffs, trained.forecast, y_label=y_label)
    courses = [(done.history, done.best_step) for done in trained.fits]
    plot_training_curve(folder / "training.png", courses=courses)
    if test:
        draw_forecasts(folder / "test.png", panel, test.cutoffs, test.forecast, y_label=y_label)
        plot_error_by_lead_time(folder / "error_by_lead_time.png", by_lead_time=test.scores.by_lead_time)


def _kind_of_point(model: FittedModel) -> str:
    """What ``y_hat`` is: the head's mean or median; a mean on a curve is nearer to a median off it."""
    return "mean" if model.network.head.kind.is_mean and model.transform.name == "none" else "median"


def _validated_by(model: FittedModel) -> str:
    return "RMSSE" if judged_by_squares(model.network) else "MASE"


def _intervals(spread: Spread) -> dict[str, Any]:
    """Where the width of the intervals comes from, as plain values."""
    return {
        "from": spread.source,
        "windows": spread.n_windows,
        "series_with_their_own": len(spread.groups),
        "doubt": spread.doubt or None,
    }


def _training_range(panel: Panel) -> list[str]:
    """First and last timestamp of the panel."""
    filled = panel.lengths > 0
    last = panel.positions(panel.last_cutoffs)[filled].max()
    ends = panel.axis.timestamps(np.array([panel.starts[filled].min(), last]))
    return [str(moment) for moment in ends]
