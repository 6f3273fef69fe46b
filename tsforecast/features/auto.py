"""What ``auto`` stands for in a config: values that follow from the data that may be learned from."""

from __future__ import annotations

from collections.abc import Sequence
from operator import attrgetter
from typing import Literal

import numpy as np

from tsforecast.config.schema import (
    CELLS_WITH,
    CONFIG_KEYS,
    COUNT_HEADS,
    Config,
    ModelConfig,
    TrainingConfig,
)
from tsforecast.errors import ConfigError
from tsforecast.features.calendar import check_country, choose_calendar
from tsforecast.series.panel import IntArray, Panel
from tsforecast.series.seasons import season_lengths_of

__all__ = [
    "auto_keys",
    "least_history",
    "resolve",
    "resolve_calibration",
    "resolve_lags",
    "resolve_lookback",
    "resolve_model",
    "resolve_split",
    "resolve_steps",
    "with_auto",
]

# One long series gives several held-back windows to score; a panel of many series has enough with one each.
MAX_SPLIT_WINDOWS = 8
# Windows of one moment share its luck, however many series they are of, so a panel is validated at several moments.
VALIDATION_WINDOWS = 4
VALIDATION_SHARE = 0.3  # of the median series, at most
# A season of more steps than this is left to the lags: reading it step by step costs more than it tells.
MAX_LOOKBACK = 256
ENOUGH_WINDOWS = 30
# The calibration part takes at most one of so many parts of what is left to learn from, and has windows enough.
CALIBRATION_SHARE = 4
CALIBRATION_WINDOWS = 8
# Half of so many series stop a training nearly as well as all of them, and all of them have windows enough to learn
# what a lag is worth that the older ones do not have.
MANY_SERIES = 100

# Steps of training: enough to see each window this often, within these limits.
VISITS = 300
MIN_STEPS, MAX_STEPS = 300, 1500
LEARNING_RATE = 3e-3
# The weights get good when the learning rate falls, at the end of the schedule: stopping early would stop before that.
PATIENCE = 25

# Where the training is short for want of data, more networks take no longer together than a long one, and what one of
# them learned by chance the others did not.
MOST_MEMBERS = 5

HIDDEN_SIZE = 64
# A reservoir is not trained to use its units well, so it needs more of them; they cost one small matrix each step.
RESERVOIR_SIZE = 300
RESERVOIR_LEAK = 0.3


def resolve(config: Config, panel: Panel) -> Config:
    """The config with every ``auto`` written out but what the fit itself chooses; what the user gave stays as it is.

    The fit chooses ``scaling``, a reservoir's ``model.ridge``, and the steps of a ``training.budget``.

    Args:
        config: as loaded.
        panel: all rows. The split is decided from its lengths alone, everything else from the rows before the
            held-back part.
    """
    lengths = panel.lengths
    seasons = _given(config.season_length)
    if seasons is None:
        seasons = season_lengths_of(panel.drop_last(_surely_held_back(config, panel)))
    validation, test = resolve_split(config.horizon, seasons, lengths)
    if config.split.validation != "auto":
        validation = config.split.validation
    if config.split.test != "auto":
        test = config.split.test
    calibration = config.split.calibration
    if calibration == "auto":
        calibration = resolve_calibration(config.horizon, lengths, validation=validation, test=test)
    steps_kept = calibration if isinstance(calibration, int) else 0
    learned = panel.drop_last(validation + steps_kept + test)
    lookback = config.lookback
    if lookback == "auto":
        lookback = resolve_lookback(config.horizon, seasons, learned.lengths)
    lags = resolve_lags(seasons, lookback, learned.lengths)
    calendar = config.data.calendar
    if panel.axis.is_integer and calendar not in ("auto", "none", []):
        raise ConfigError(
            f"data.calendar: {calendar!r} needs timestamps, and time is counted in integers; write none."
        )
    if calendar == "none":
        calendar = []
    if config.data.holidays:
        if panel.axis.is_integer:
            raise ConfigError(
                "data.holidays: holidays need timestamps, and time is counted in integers; remove it."
            )
        check_country(config.data.holidays)
    if calendar == "auto":
        calendar = choose_calendar(learned)
    training = config.training
    steps = _steps_of(training, config.horizon, lookback, seasons, learned.lengths)
    return config.model_copy(
        update={
            "season_length": seasons,
            "lookback": lookback,
            "scaling": _scaling(config),
            "split": config.split.model_copy(
                update={"validation": validation, "calibration": calibration, "test": test}
            ),
            "data": config.data.model_copy(update={"freq": panel.axis.freq, "calendar": calendar}),
            "model": resolve_model(
                config.model, lags=lags, lookback=lookback, members=_members(config, steps)
            ),
            "training": training.model_copy(
                update={
                    "max_steps": steps,
                    "learning_rate": LEARNING_RATE
                    if training.learning_rate == "auto"
                    else training.learning_rate,
                    "patience": PATIENCE if training.patience == "auto" else training.patience,
                }
            ),
        }
    )


def auto_keys(config: Config, resolved: Config) -> list[str]:
    """The dotted keys that stood on ``auto`` and were resolved from the data; its frequency is no choice."""
    was, became = attrgetter(*CONFIG_KEYS)(config), attrgetter(*CONFIG_KEYS)(resolved)
    pairs = zip(CONFIG_KEYS, was, became, strict=True)
    return sorted(key for key, old, new in pairs if old == "auto" != new and key != "data.freq")


def with_auto(config: Config, keys: Sequence[str]) -> Config:
    """A resolved config with some keys back on ``auto``, to be resolved from other rows."""
    values = config.model_dump()
    for key in keys:
        *sections, name = key.split(".")
        section = values
        for part in sections:
            section = section[part]
        section[name] = "auto"
    return Config.model_validate(values)


def resolve_model(model: ModelConfig, *, lags: list[int], lookback: int, members: int = 1) -> ModelConfig:
    """The network's settings with every ``auto`` written out but ``ridge``, which the fit chooses.

    What the cell does not have becomes None.
    """
    is_reservoir = model.cell == "esn"
    auto = {
        "hidden_size": RESERVOIR_SIZE if is_reservoir else HIDDEN_SIZE,
        "head": "mse" if is_reservoir else "mae",
        "lags": lags,
        "ensemble": members,
        "leak": RESERVOIR_LEAK if is_reservoir else "learned",
        "ridge": "auto",
        "washout": lookback - 1,
    }
    update: dict[str, object] = {
        name: value for name, value in auto.items() if getattr(model, name) == "auto"
    }
    update |= {name: None for name, cells in CELLS_WITH.items() if model.cell not in cells}
    return model.model_copy(update=update)


def _members(config: Config, steps: int) -> int:
    """Networks that together take no more steps than the longest training of one; one where steps are asked for."""
    training = config.training
    is_asked = training.max_steps != "auto" or training.max_epochs is not None or training.budget is not None
    return 1 if is_asked or config.model.cell == "esn" else min(MOST_MEMBERS, max(1, MAX_STEPS // steps))


def _scaling(config: Config) -> str:
    """The scaling a head asks for; else ``auto`` stays, and the fit chooses."""
    return "mean_abs" if config.scaling == "auto" and config.model.head in COUNT_HEADS else config.scaling


def _surely_held_back(config: Config, panel: Panel) -> int:
    """Last rows the season is looked for without: the split follows from the season, so it is not known yet.

    With dates the season follows from frequency and length, so leaving out one test window is enough. With integer
    time it is found in the values, and none of those that may be held back are looked at.
    """
    test = config.split.test if isinstance(config.split.test, int) else config.horizon
    if not panel.axis.is_integer:
        return test
    longest = resolve_split(config.horizon, [1], panel.lengths)
    given = (config.split.validation, config.split.test)
    return sum(auto if steps == "auto" else steps for steps, auto in zip(given, longest, strict=True))


def _given(season_length: str | int | list[int]) -> list[int] | None:
    """The season lengths the user wrote, or None for ``auto``."""
    if isinstance(season_length, int):
        return [season_length]
    return season_length if isinstance(season_length, list) else None


def resolve_lags(season_lengths: Sequence[int], lookback: int, lengths: IntArray) -> list[int]:
    """Past values beside the newest that the network sees at each step.

    The value one season before the step to forecast, and the one before that, which tells with the newest how far this
    season is from the last; of a single season the same two and three seasons before, as what one season had by chance
    three have not; of several the value two seasons before. Those beyond the first season are left out where the
    median series would not fill one window with them, and of few series, which have few windows, where they would not
    fill half of theirs. A lag counts from the step to forecast; lag 1 is the newest value and always there.
    """
    seasons = [m for m in season_lengths if m > 1]
    lags = {lag for m in seasons for lag in (m, m + 1)}
    if len(seasons) == 1:
        further = {k * seasons[0] + one for k in (2, 3) for one in (0, 1)}
    else:
        further = {2 * m for m in seasons}
    filled = int(np.median(lengths)) // (1 if len(lengths) >= MANY_SERIES else 2)
    longest = filled - lookback
    return sorted(lags | {lag for lag in further if lag <= longest})


def resolve_lookback(horizon: int, season_lengths: Sequence[int], lengths: IntArray) -> int:
    """Past steps the network reads: two short seasons and at least one horizon, at most half of the median series.

    Longer seasons reach the network as lags, so the window need not hold them.
    """
    wanted = max(2 * season_lengths[0], min(horizon, 4 * season_lengths[0]), 8)
    return max(1, min(wanted, MAX_LOOKBACK, int(np.median(lengths)) // 2))


def resolve_split(horizon: int, season_lengths: Sequence[int], lengths: IntArray) -> tuple[int, int]:
    """Steps held back for validation and for the test, each a whole number of horizons.

    Panels are tested on one horizon and validated on up to four, within a share of the median series; a few long
    series get more windows, up to a tenth of the median series for the test and twice that for validation. Where the
    series are too short to hold back two horizons and still learn from two seasons, the test part goes first, and then
    the validation part shrinks.
    """
    median = int(np.median(lengths))
    wanted = -(-ENOUGH_WINDOWS // max(1, len(lengths)))
    windows = max(1, min(wanted, MAX_SPLIT_WINDOWS, median // (10 * horizon)))
    room = median - 2 * season_lengths[0] - horizon
    if wanted > 1 and room >= 3 * windows * horizon:
        return 2 * windows * horizon, windows * horizon
    rolled = min(VALIDATION_WINDOWS, int(VALIDATION_SHARE * median) // horizon, room // horizon - windows)
    if room >= 2 * windows * horizon:
        return max(windows, rolled) * horizon, windows * horizon
    if room >= 2 * horizon:
        return horizon, horizon
    return max(1, min(horizon, room)), 0


def resolve_calibration(
    horizon: int, lengths: IntArray, *, validation: int, test: int
) -> int | Literal["series"]:
    """What is kept to measure intervals by: half of the series where there are many, else steps of all of them.

    As many steps as for the validation; none where they would take more than a quarter of what the median series has
    left to learn from, or give too few windows to tell anything.
    """
    if len(lengths) >= MANY_SERIES:
        return "series"
    room = (int(np.median(lengths)) - validation - test) // CALIBRATION_SHARE
    enough = len(lengths) * (validation // horizon) >= CALIBRATION_WINDOWS
    return validation if enough and validation <= room else 0


def resolve_steps(
    horizon: int, lookback: int, season_lengths: Sequence[int], lengths: IntArray, batch_size: int
) -> int:
    """Most steps of training: fewer where there is less to learn from."""
    windows = _n_windows(horizon, lookback, season_lengths, lengths)
    return int(np.clip(VISITS * windows // batch_size, MIN_STEPS, MAX_STEPS))


def _steps_of(
    training: TrainingConfig, horizon: int, lookback: int, season_lengths: Sequence[int], lengths: IntArray
) -> int:
    """Most steps of training: the given ones, those of the given epochs, the fewer of both, or what is usual."""
    given = [training.max_steps] if training.max_steps != "auto" else []
    if training.max_epochs is not None:
        epoch = _n_windows(horizon, lookback, season_lengths, lengths) / training.batch_size
        given.append(max(1, round(training.max_epochs * epoch)))
    return (
        min(given)
        if given
        else resolve_steps(horizon, lookback, season_lengths, lengths, training.batch_size)
    )


def _n_windows(horizon: int, lookback: int, season_lengths: Sequence[int], lengths: IntArray) -> int:
    """Training windows of series of these lengths."""
    return int(np.maximum(lengths - horizon - least_history(lookback, season_lengths), 1).sum())


def least_history(lookback: int, season_lengths: Sequence[int]) -> int:
    """Values a series must have before the network may learn from it.

    Windows that reach past the start of a series are padded, down to two short seasons.
    """
    return max(2, min(lookback, 2 * season_lengths[0]))
