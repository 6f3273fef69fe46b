"""Whether a run folder can be trusted: each file as it was written, and, on request, the whole training done again."""

from __future__ import annotations

import io
import json
import logging
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from tsforecast.config.schema import Config
from tsforecast.errors import ConfigError, DataError, RunError
from tsforecast.forecasting.stored import to_storage
from tsforecast.runs import RECEIPT, VERSIONS, Run, open_run, verify_run, version_names
from tsforecast.runtime import choose_device
from tsforecast.series.cut import Cut
from tsforecast.series.isolate import Isolated
from tsforecast.series.panel import data_hash
from tsforecast.series.read import name_of
from tsforecast.training.fit import Watcher
from tsforecast.workflows.predict import csv_text, load_run, read_like
from tsforecast.workflows.receipt import circumstances, differences
from tsforecast.workflows.train import Made, make, read_data, resolve_and_part
from tsforecast.workflows.update import HISTORY, remake

__all__ = ["Verified", "replay", "report", "verify"]

log = logging.getLogger(__name__)

FORECAST = "forecast.csv"
# As far apart, relative to the largest number of a column, forecasts of equal trainings on other machines may be.
TOLERANCE = 1e-5
SHOWN = 5


@dataclass(frozen=True, slots=True)
class Verified:
    """What was found about a run folder.

    Attributes:
        path: the folder.
        problems: what is wrong, a message each.
        format_version: it was written in; None where it cannot be read.
        version: of the run, 1 until an update replaced it.
        kept: names of the older versions.
        replayed: what training again has shown, None where that was not asked for.
        notes: what else is worth knowing.
    """

    path: Path
    problems: tuple[str, ...] = ()
    format_version: int | None = None
    version: int | None = None
    kept: tuple[str, ...] = ()
    replayed: str | None = None
    notes: tuple[str, ...] = ()

    def to_json(self) -> dict[str, Any]:
        """The findings as plain values."""
        return {
            "run": str(self.path),
            "ok": not self.problems,
            "problems": list(self.problems),
            "format_version": self.format_version,
            "version": self.version,
            "kept_versions": list(self.kept),
            "replayed": self.replayed,
            "notes": list(self.notes),
        }


def verify(path: Path) -> Verified:
    """Every file of a run and of the versions it keeps compared with its hash, and their models loaded.

    Raises:
        ResourceError: it does not fit into memory.
        RunError: there is no such folder.
    """
    problems = verify_run(path)
    if problems:
        return Verified(path, problems=tuple(problems))
    kept = version_names(path)
    for version in (path, *(path / VERSIONS / name for name in kept)):
        try:
            load_run(version, device="cpu")
        except RunError as error:
            problems.append(str(error))
    if problems:
        return Verified(path, problems=tuple(problems))
    model = open_run(path).model
    return Verified(
        path, format_version=model["format_version"], version=model.get("version", 1), kept=tuple(kept)
    )


def replay(found: Verified, source: str | None = None, *, watcher: Watcher | None = None) -> Verified:
    """Trains again from the stored config and data, and adds how weights and forecasts compare.

    Of an updated run, what is done again is the update: the version before it is kept, and goes on from there.

    Args:
        found: a run without problems.
        source: the data, where it is no longer where the run says.
        watcher: progress and stop signals.

    Raises:
        ConfigError: the stored settings cannot be used on this machine.
        DataError: the data can no longer be read.
        RunError: the data has changed, or the version before is gone.
        StoppedError: a signal came.
    """
    run = open_run(found.path, also=(FORECAST, RECEIPT))
    receipt = json.loads(run.files.get(RECEIPT, b"{}"))
    if receipt.get("data") == "data frame" and source is None:
        raise RunError(
            f"{found.path}: was trained on a data frame, which no file keeps; give its rows: "
            f"`tsforecast verify --replay {found.path} DATA`."
        )
    config, notes = _as_then(run, receipt)
    again = _update_again if run.model.get("version", 1) > 1 else _train_again
    made = again(run, config, receipt, source, watcher)
    now = circumstances(made.trained.config, device=made.device)
    notes += differences(receipt, now) if receipt else ["the run has no receipt: it is older than these"]
    text, problems = _compared(run, made)
    return replace(found, problems=tuple(problems), replayed=text, notes=tuple(notes))


def report(found: Verified) -> str:
    """The findings in words, a problem per line."""
    if found.problems:
        lines = [*found.problems, *(f"  {note}" for note in found.notes)]
        return "\n".join(lines) + "\n"
    kept = f"; older versions kept: {', '.join(found.kept)}" if found.kept else ""
    lines = [
        f"{found.path}: every file is as it was written (format {found.format_version}, version {found.version}{kept})."
    ]
    if found.replayed:
        lines += [found.replayed, *(f"  {note}" for note in found.notes)]
    return "\n".join(lines) + "\n"


def _as_then(run: Run, receipt: dict[str, Any]) -> tuple[Config, list[str]]:
    """The stored config with the device and the threads that were used, where this machine has them."""
    runtime, notes = run.config.runtime, []
    update: dict[str, Any] = {}
    if threads := receipt.get("threads"):
        update["threads"] = threads
    if device := receipt.get("device"):
        try:
            choose_device(device)
            update["device"] = device
        except ConfigError:
            notes.append(f"no {device!r} on this machine: computed on the CPU")
            update |= {"device": "cpu", "precision": "float32"}
    return run.config.model_copy(update={"runtime": runtime.model_copy(update=update)}), notes


def _with_data(config: Config, path: str) -> Config:
    return config.model_copy(update={"data": config.data.model_copy(update={"path": path})})


def _train_again(
    run: Run, config: Config, receipt: dict[str, Any], source: str | None, watcher: Watcher | None
) -> Made:
    """The training of a first version, from the beginning."""
    del receipt  # the config names the data
    if source is not None:
        config = _with_data(config, source)

    def read_with(cut: Cut) -> Isolated:
        return resolve_and_part(config, read_data(config, None, cut))[1]

    cut, _ = _as_read_then(run, read_with)
    return make(config, path=run.path, cut=cut, watcher=watcher)


def _update_again(
    run: Run, config: Config, receipt: dict[str, Any], source: str | None, watcher: Watcher | None
) -> Made:
    """The update that made this version, from the version before."""
    before = _version_before(run, receipt)
    champion = replace(load_run(before, device=config.runtime.device, also=(HISTORY,)), config=config)
    window, data = run.model.get("update", {}).get("window"), source or receipt.get("data")
    if not isinstance(window, int) or window < 1 or not isinstance(data, str):
        raise RunError(
            f"{run.path}: does not say by how many steps its update was judged, or on what data, so that it cannot be "
            "done again; it was not written by `tsforecast update`."
        )
    try:
        cut, read = _as_read_then(run, lambda cut: read_like(champion, data, cut))
    except DataError as error:
        raise DataError(
            f"{run.path}: the rows of its update cannot be read again: {error} Give them: "
            f"`tsforecast verify --replay {run.path} DATA`.",
            code=error.code,
        ) from error
    return remake(champion, read, cut, window=window, where=name_of(data), watcher=watcher)


def _version_before(run: Run, receipt: dict[str, Any]) -> Path:
    """The folder of the version that the update of a run went on from.

    Raises:
        RunError: it is gone; says what can be done again instead.
    """
    path, version = run.path, run.model["version"]
    wanted = receipt.get("updated_from", version - 1)
    is_kept = path.absolute().parent.name == VERSIONS and path.name.isdigit()
    owner = path.absolute().parents[1] if is_kept else path
    names = [name for name in version_names(owner) if not is_kept or int(name) < int(path.name)]
    for name in reversed(names):
        if open_run(owner / VERSIONS / name).model.get("version", 1) == wanted:
            return owner / VERSIONS / name
    kept = f"of older ones {', '.join(names)} are there" if names else "no older one is there"
    raise RunError(
        f"{path}: is version {version}, made by an update of version {wanted}, which is not kept ({kept}), so that "
        "there is nothing to go on from. Copy it back into versions/ where you have it; `tsforecast update --keep N` "
        "says how many are kept."
    )


def _as_read_then(run: Run, read_with: Callable[[Cut], Isolated]) -> tuple[Cut, Isolated]:
    """What has to be left out at the end, so that the data is what the run learned from, and that data.

    Raises:
        RunError: nothing makes it the same.
    """
    stored = {name: run.model["left_out"][name] for name in ("as_of", "drop_last")}
    newest = run.model["training_range"][1]
    for cut in (Cut(**stored), Cut(as_of=newest)):
        read = read_with(cut)
        if data_hash(read.panel) == run.model["data_hash"]:
            return cut, read
    raise RunError(
        f"{run.path}: the data up to {newest} is no longer what the run was trained on (SHA-256 "
        f"{data_hash(read.panel)[:12]}…, then {run.model['data_hash'][:12]}…), so there is nothing to compare; "
        f"give the old rows: `tsforecast verify --replay {run.path} DATA`."
    )


def _compared(run: Run, made: Made) -> tuple[str, list[str]]:
    """A sentence when the training came out the same, and what is wrong when it did not."""
    trained = made.trained
    _, arrays = to_storage(trained.model, trained.panel, trained.fallbacks)
    weights = [name for name in run.arrays if not name.startswith("tail.")]
    other = [name for name in weights if not _same(run.arrays[name], arrays.get(name))]
    stored = run.files[FORECAST].decode()
    again = csv_text(trained.forecast, trained.panel.axis)
    if not other and again == stored:
        return "Trained again: the same weights and the same forecast, to the last bit.", []
    apart = _apart(pd.read_csv(io.StringIO(stored)), pd.read_csv(io.StringIO(again)))
    if apart <= TOLERANCE:
        text = (
            f"Trained again: the forecasts agree to {apart:.1e} of their size, which is rounding; "
            f"{len(other)} of {len(weights)} arrays of the model are not the same to the last bit."
        )
        return text, []
    where = f"{run.path}: trained again"
    problems = [
        f"{where}, the forecasts are up to {apart:.2g} of their size apart (at most {TOLERANCE:g} is rounding)."
    ]
    if other:
        shown = ", ".join(repr(name) for name in other[:SHOWN]) + (" …" if len(other) > SHOWN else "")
        problems.append(f"{where}, {len(other)} of {len(weights)} arrays of the model differ: {shown}.")
    return "", problems


def _same(one: npt.NDArray[Any], other: npt.NDArray[Any] | None) -> bool:
    return other is not None and np.array_equal(one, other, equal_nan=one.dtype.kind == "f")


def _apart(one: pd.DataFrame, other: pd.DataFrame) -> float:
    """Largest difference of two forecasts as a share of the largest number of its column; infinite for other rows."""
    values = [name for name in one.columns if name == "y_hat" or name.startswith("q0")]
    rows = [name for name in one.columns if name not in values]
    if list(one.columns) != list(other.columns) or not one[rows].equals(other[rows]):
        return float("inf")
    size = one[values].abs().max()
    return float(((one[values] - other[values]).abs().max() / size.where(size > 0, 1.0)).max())
