"""Whether a model is worth using, in words for somebody who has never run the tool."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from tsforecast.evaluation.metrics import METRICS
from tsforecast.evaluation.scores import REFERENCE
from tsforecast.evaluation.significance import SURE, Difference, p_text
from tsforecast.pictures.report import Tile, Tone, Verdict

__all__ = ["Evidence", "error_metric", "verdict"]

# Errors closer to each other than this are as good as equal to a user.
CLEAR = 0.02
# An interval may cover this much less or more than it should.
NEAR = 0.05
# Fewer forecasts than this say little.
FEW = 10

UNJUDGED = (
    "No rows were held back for a test, so its forecasts were compared with nothing. `tsforecast backtest` judges it "
    "by forecasts of the past."
)

Numbers = Mapping[str, float | None]


@dataclass(frozen=True, slots=True, kw_only=True)
class Evidence:
    """What a verdict rests on.

    Attributes:
        model: name of the network's row.
        by_model: metrics of each model by their names; None where one is undefined.
        n_series: series that were judged.
        n_cutoffs: forecasts that were judged.
        horizon: steps of each.
        season_length: steps in the season of the seasonal naive.
        source: how the forecasts were made, as a sentence.
        interval: share of actual values that the widest interval should hold; None without one.
        wins: series on which the network has the smaller error than the seasonal naive, and those compared.
        chances: how sure the difference to each other model is, by its name, where that was measured.
        warnings: what should make a reader careful.
    """

    model: str
    by_model: Mapping[str, Numbers]
    n_series: int
    n_cutoffs: int
    horizon: int
    season_length: int
    source: str
    interval: float | None = None
    wins: tuple[int, int] | None = None
    chances: Mapping[str, Difference] = field(default_factory=dict)
    warnings: Sequence[str] = ()

    @property
    def metric(self) -> str:
        return error_metric(self.by_model)

    def error(self, name: str) -> float:
        value = self.by_model.get(name, {}).get(self.metric)
        return math.nan if value is None else value

    @property
    def coverage(self) -> float | None:
        return self.by_model.get(self.model, {}).get("coverage")


def error_metric(by_model: Mapping[str, Numbers]) -> str:
    """The metric models are compared by: MASE, or MAE where no series has one."""
    return "mase" if any(row.get("mase") is not None for row in by_model.values()) else "mae"


def verdict(found: Evidence | None, warnings: Sequence[str] = ()) -> Verdict:
    """The verdict on a model, or that there is none.

    Args:
        found: what the scores say; None where nothing was held back.
        warnings: of the run itself.
    """
    if found is None:
        return Verdict(
            "none", "Not judged: whether this model is any good is not known.", [], [UNJUDGED], warnings
        )
    tone, headline = _answer(found)
    sentences = [_basis(found), *_luck(found), _meaning(found)]
    return Verdict(tone, headline, _tiles(found), sentences, [*_doubts(found), *found.warnings, *warnings])


def _answer(found: Evidence) -> tuple[Tone, str]:
    gain = _gain(found)
    repeated = _repeating(found)
    if gain is None:
        return "none", "It cannot be compared with the seasonal naive, as scores are missing."
    if gain <= -CLEAR:
        return (
            "bad",
            f"Not worth using as it is: its error is {_share(-gain)} larger than that of {repeated}.",
        )
    stronger = _stronger(found)
    if gain < CLEAR:
        return "mixed", f"Hardly worth it: it is about as good as {repeated}."
    if stronger:
        return "mixed", (
            f"Better than {repeated} by {_share(gain)}, but {_plain_name(stronger[0])} is better still."
        )
    smaller = f"its error is {_share(gain)} smaller than that of {repeated}"
    chance = found.chances.get(REFERENCE)
    if chance is not None and chance.p_value >= SURE:
        return "mixed", f"Perhaps worth using: {smaller}, which may be luck."
    return "good", f"{'Worth' if found.n_cutoffs >= FEW else 'Looks worth'} using: {smaller}."


def _gain(found: Evidence) -> float | None:
    """Share of the seasonal naive's error that the model saves."""
    own, reference = found.error(found.model), found.error(REFERENCE)
    if math.isnan(own) or math.isnan(reference):
        return None
    if reference == 0:
        return 0.0 if own == 0 else -math.inf
    return 1 - own / reference


def _stronger(found: Evidence) -> list[str]:
    """The other models with a clearly smaller error, the best first."""
    own = found.error(found.model)
    better = [name for name in found.by_model if found.error(name) < own * (1 - CLEAR)]
    return sorted((name for name in better if name != found.model), key=found.error)


def _repeating(found: Evidence) -> str:
    return "repeating the last season" if found.season_length > 1 else "repeating the last value"


def _tiles(found: Evidence) -> list[Tile]:
    gain, tiles = _gain(found), []
    if gain is not None and math.isfinite(gain):
        sign = "−" if gain > 0 else "+"
        tiles.append(Tile(f"{sign}{_share(abs(gain))}", "error, beside the seasonal naive"))
    if found.wins and found.wins[1] > 1:
        tiles.append(
            Tile(
                _share(found.wins[0] / found.wins[1]),
                f"of {_number(found.wins[1])} series are forecast better",
            )
        )
    if found.coverage is not None and found.interval is not None:
        tiles.append(Tile(_share(found.coverage), f"of values inside the {_share(found.interval)} interval"))
    return tiles


def _basis(found: Evidence) -> str:
    title = METRICS[found.metric].title
    own, reference = found.error(found.model), found.error(REFERENCE)
    forecasts = f"{_count(found.n_cutoffs, 'forecast')} of {_count(found.horizon, 'step')}"
    over = f" and {_number(found.n_series)} series" if found.n_series > 1 else ""
    return (
        f"{found.source} Over {forecasts}{over} its {title} is {_error(own)}; the seasonal naive's is "
        f"{_error(reference)}."
    )


def _luck(found: Evidence) -> list[str]:
    """Whether the difference to the seasonal naive could be chance."""
    chance = found.chances.get(REFERENCE)
    if chance is None or not _gain(found):
        return []
    if math.isnan(chance.p_value):
        return [f"Whether the difference is chance cannot be told: {chance.why_not}."]
    basis = f"{p_text(chance)}, {chance.method} over {_count(chance.n_cutoffs, 'cutoff')}"
    if chance.p_value < SURE:
        return [f"That is more than chance would give ({basis})."]
    return [f"A difference of this size could be chance ({basis})."]


def _meaning(found: Evidence) -> str:
    season = _count(found.season_length, "step")
    taken = f"the value one season ({season}) before" if found.season_length > 1 else "the last known value"
    sentence = f"The seasonal naive takes {taken}; a model that does not beat it is not worth running."
    return f"{sentence} {_intervals(found)}".strip()


def _intervals(found: Evidence) -> str:
    """Whether the intervals hold."""
    if found.coverage is None or found.interval is None:
        return ""
    held, asked = _share(found.coverage), _share(found.interval)
    if found.coverage < found.interval - NEAR:
        return f"Its intervals are too narrow: the {asked} interval held {held} of the actual values."
    if found.coverage > found.interval + NEAR:
        return f"Its intervals are wider than they need be: the {asked} interval held {held} of the actual values."
    return f"Its intervals hold: the {asked} interval held {held} of the actual values."


def _doubts(found: Evidence) -> list[str]:
    doubts = []
    if found.n_cutoffs < FEW:
        doubts.append(
            f"Only {_count(found.n_cutoffs, 'forecast')} could be judged, which says little: more windows, "
            "or more series, would say more."
        )
    stronger = _stronger(found)
    if stronger:
        names = ", ".join(f"{_plain_name(name)} ({_error(found.error(name))})" for name in stronger[:3])
        doubts.append(
            f"Smaller {METRICS[found.metric].title} than the network's {_error(found.error(found.model))}: {names}."
        )
    if found.coverage is not None and found.interval is not None and found.coverage < found.interval - NEAR:
        doubts.append(
            "Actual values leave the intervals more often than they should: do not plan by their edges."
        )
    if found.metric != "mase":
        doubts.append(
            "There is no MASE, as the rows before repeat themselves exactly; errors are in the unit of the data."
        )
    return doubts


def _plain_name(name: str) -> str:
    return name.replace("_", " ")


def _error(value: float) -> str:
    return "unknown" if math.isnan(value) else f"{value:.4g}"


def _share(value: float) -> str:
    if not math.isfinite(value):
        return "infinitely"
    percent = 100 * value
    return f"{percent:.{0 if percent >= 10 or percent == 0 else 1}f}\N{NO-BREAK SPACE}%"


def _number(value: int) -> str:
    return f"{value:,}"


def _count(number: int, thing: str) -> str:
    return f"{number:,} {thing}" + ("" if number == 1 else "s")
