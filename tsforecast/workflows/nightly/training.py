"""The run of a job: loaded, trained where there is none, and trained anew when it is due."""

from __future__ import annotations

import hashlib
import logging
import shlex
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

from tsforecast.config.jobs import JobConfig
from tsforecast.config.load import load_config
from tsforecast.config.schema import Config
from tsforecast.errors import ConfigError, DataError, LockedError, ResourceError, RunError
from tsforecast.series.cut import Cut
from tsforecast.training.checkpoint import load_checkpoint
from tsforecast.workflows.nightly.reading import newest_row, refuse_old
from tsforecast.workflows.nightly.retrain import reason_to_train
from tsforecast.workflows.nightly.shards import as_of_text
from tsforecast.workflows.nightly.status import said_of
from tsforecast.workflows.nightly.work import Work
from tsforecast.workflows.predict import LoadedRun, load_run

__all__ = ["loaded", "run_to_use", "train_again", "trained_to", "why_train"]

log = logging.getLogger(__name__)

MANIFEST = "manifest.json"


def run_to_use(work: Work) -> tuple[LoadedRun, str]:
    """The run of a job, trained first where there is none."""
    job = work.job
    path = Path(job.run)
    if not (path / MANIFEST).exists() and not path.exists():
        if job.config is None:
            raise RunError(
                f"{path}: no such run folder, and the job has no config to train it from; add config:, or train it "
                "with `tsforecast train`."
            )
        config, as_of = load_config(Path(job.config)), work.night.as_of
        if job.max_age is not None and as_of is None and work.night.backfill is None:
            source = job.data or config.data.path
            refuse_old(job, newest_row(_tolerant(config, job).data, source), source)
        log.info("there is no run yet, it is trained")
        cut = Cut(None, job.drop_last) if as_of is None else Cut(as_of)
        _train(work, config, overwrite=False, cut=cut)
    return loaded(work)


def loaded(work: Work) -> tuple[LoadedRun, str]:
    """The run of a job and the hash of its files, both of one version, bad series to be set apart."""
    path = Path(work.job.run)
    while True:
        before = _manifest_hash(path)
        run = load_run(path)
        if _manifest_hash(path) == before:
            return replace(run, config=_tolerant(run.config, work.job)), before


def _manifest_hash(path: Path) -> str:
    try:
        return hashlib.sha256((path / MANIFEST).read_bytes()).hexdigest()
    except OSError:
        return ""  # loading it says what is wrong


def _tolerant(config: Config, job: JobConfig) -> Config:
    """The config under which one bad series does not stop the others."""
    policy = job.on_bad_series or config.data.on_bad_series
    if job.on_bad_series is None and policy == "fail":
        policy = "skip"
    return config.model_copy(update={"data": config.data.model_copy(update={"on_bad_series": policy})})


def why_train(work: Work, run: LoadedRun, source: str, as_of: str) -> str | None:
    """Why the run is to be trained anew before it forecasts; None where it is not."""
    if not work.job.retrain.ever:
        return None
    return reason_to_train(work.job, work.archive, source=source, trained_to=trained_to(run), as_of=as_of)


def trained_to(run: LoadedRun) -> str:
    """The newest step that the run has learned from."""
    tail = run.tail
    return as_of_text(tail.axis, int(tail.positions(tail.last_cutoffs).max()))


def train_again(work: Work, run: LoadedRun, as_of: str, reason: str) -> bool:
    """Whether a new run took the place of the old one; where the training fails, the old one goes on."""
    log.info("the run is trained anew: %s", reason)
    try:
        config = run.config if work.job.config is None else load_config(Path(work.job.config))
        _train(work, config, overwrite=True, cut=Cut(as_of))
    except (ConfigError, DataError, RunError, ResourceError, LockedError) as error:
        work.problems.append(
            type(error)(f"not trained anew ({reason}): {error} The forecast is that of the run as it was.")
        )
        return False
    return True


def _train(work: Work, config: Config, *, overwrite: bool, cut: Cut) -> None:
    """Trains the run of a job, from where an interrupted training of the same data stands."""
    from tsforecast.workflows.train import train  # imports what draws its pictures

    path = Path(work.job.run)
    config = _tolerant(config, work.job)
    if work.job.data is not None:
        config = config.model_copy(update={"data": config.data.model_copy(update={"path": work.job.data})})
    with _said_to_train(work), work.night.training() as watcher:
        for attempt in (_can_resume(path), False):
            try:
                train(
                    config,
                    path=path,
                    overwrite=overwrite,
                    resume=attempt,
                    cut=cut,
                    watcher=watcher,
                    command=shlex.split(work.night.command),
                    wait=work.night.wait,
                )
                break
            except (ConfigError, RunError):
                # Begun with other data or settings, or come to its end while we waited for it.
                if not attempt:
                    raise
    work.status.job(work.job.name, trained=True)


@contextmanager
def _said_to_train(work: Work) -> Iterator[None]:
    """Status and messages say so while the block runs: a series left out here is told of the forecast as well."""
    work.status.job(work.job.name, doing="training")
    try:
        with said_of(doing="training"):
            yield
    finally:
        work.status.job(work.job.name, doing=None)


def _can_resume(path: Path) -> bool:
    try:
        return load_checkpoint(path.with_name(f".{path.name}.train")) is not None
    except RunError:
        return False
