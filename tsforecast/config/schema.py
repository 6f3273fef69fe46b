"""The YAML as frozen models: every key, its unit, its bounds and its default, said once.

Descriptions, bounds and defaults written here become docs/config.md, configs/schema.json and the words
of error messages, so that these cannot disagree. `auto` is resolved later, from the data.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from functools import cache
from itertools import pairwise
from types import MappingProxyType, NoneType, UnionType
from typing import Annotated, Any, Literal, TypeVar, get_args, get_origin
from zoneinfo import ZoneInfo

from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    SerializationInfo,
    ValidationInfo,
    field_serializer,
    field_validator,
    model_validator,
)
from pydantic.fields import FieldInfo
from pydantic.json_schema import GenerateJsonSchema

from tsforecast.config.durations import form_of
from tsforecast.config.location import kind_of, without_secrets

__all__ = [
    "ASK",
    "BUDGET_UNITS",
    "CALENDAR_FEATURES",
    "CELLS_WITH",
    "CELL_NAMES",
    "CONFIG_KEYS",
    "COUNT_HEADS",
    "HEAD_NAMES",
    "POSITIVE_HEADS",
    "SHORT_FORMS",
    "UNCENTERED_SCALINGS",
    "Config",
    "CovariatesConfig",
    "DataConfig",
    "ForecastConfig",
    "FormatConfig",
    "ModelConfig",
    "RepairConfig",
    "RuntimeConfig",
    "Section",
    "SplitConfig",
    "TrainingConfig",
    "entries_of",
    "json_schema_of",
    "keys_of",
    "section_of",
]

Item = TypeVar("Item")

BUDGET_UNITS = "smh"

Auto = Literal["auto"]
CalendarFeature = Literal[
    "minute_of_hour", "hour_of_day", "day_of_week", "day_of_month", "day_of_year", "month_of_year"
]
Cell = Literal["rnn", "leaky_rnn", "esn", "lstm", "lstm_peephole", "lstm_coupled", "gru", "bilstm", "bigru"]
HeadName = Literal[
    "mae",
    "mse",
    "huber",
    "quantiles",
    "normal",
    "student_t",
    "negative_binomial",
    "zero_inflated",
    "log_normal",
]
DuplicatePolicy = Literal["error", "mean", "last", "sum"]
FillPolicy = Literal["error", "mask", "interpolate", "ffill", "zero", "seasonal"]
InfinitePolicy = Literal["error", "mask"]
NegativePolicy = Literal["keep", "error", "zero"]
RepeatedHour = Literal["error", "first", "second"]
ForecastFallback = Literal["none", "seasonal_naive"]
BadSeriesPolicy = Literal["fail", "skip", "baseline"]

CALENDAR_FEATURES: tuple[str, ...] = get_args(CalendarFeature)
SHORT_FORMS = MappingProxyType({"bilstm": "lstm", "bigru": "gru"})
CELL_NAMES: tuple[str, ...] = tuple(name for name in get_args(Cell) if name not in SHORT_FORMS)
HEAD_NAMES: tuple[str, ...] = get_args(HeadName)
# Heads that take only some values, and count in the unit of the data.
COUNT_HEADS = ("negative_binomial", "zero_inflated")
POSITIVE_HEADS = ("log_normal",)
# Scalings that subtract nothing.
UNCENTERED_SCALINGS = ("none", "mean_abs", "mean_abs_by_window")
# Settings that not every cell has, and the cells that have them.
CELLS_WITH: Mapping[str, tuple[str, ...]] = MappingProxyType(
    {
        "output_activation": ("lstm",),
        "reset": ("gru",),
        "leak": ("leaky_rnn", "esn"),
        "spectral_radius": ("esn",),
        "input_scale": ("esn",),
        "ridge": ("esn",),
        "washout": ("esn",),
    }
)

# What `init` writes where only the user knows the answer; it is no value, and is refused with the question.
ASK = "ask"

MAX_SHOWN = 60
MAX_STEPS_IN_TIME = 1_000_000  # longest stretch of a series a setting may speak of, in steps

Text = Annotated[str, Field(min_length=1)]
Character = Annotated[str, Field(min_length=1, max_length=1)]
PastSteps = Annotated[int, Field(ge=1, le=100_000)]
Steps = Annotated[int, Field(ge=1, le=MAX_STEPS_IN_TIME)]
StepsOrZero = Annotated[int, Field(ge=0, le=MAX_STEPS_IN_TIME)]
Updates = Annotated[int, Field(ge=1, le=10_000_000)]
Threads = Annotated[int, Field(ge=1, le=1024)]
Positive = Annotated[float, Field(gt=0, allow_inf_nan=False)]
Duration = Annotated[str, Field(pattern=f"^{form_of(BUDGET_UNITS)}$")]
Level = Annotated[float, Field(gt=0, lt=1, allow_inf_nan=False)]
Gain = Annotated[float, Field(gt=0, le=1000, allow_inf_nan=False)]
Share = Annotated[float, Field(gt=0, le=1, allow_inf_nan=False)]


class Section(BaseModel):
    """What all sections share: no unknown keys, no silent conversion (1.5, "7" or true is no integer)."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)


class CovariatesConfig(Section):
    """Further columns the model reads."""

    static: list[Text] = Field(
        default=[], description="Columns that are one value for all rows of a series, such as a region."
    )
    past: list[Text] = Field(
        default=[], description="Columns known up to the cutoff only, read beside the target."
    )
    future: list[Text] = Field(
        default=[],
        description="Columns known over the horizon as well, such as a price; rows without a target after the last "
        "one give their values, or `predict --future FILE`.",
    )
    categorical: list[Text] = Field(
        default=[],
        description="Which of these columns hold words, not numbers; each word gets learned inputs.",
    )

    @property
    def all(self) -> list[str]:
        return [*self.static, *self.past, *self.future]

    @field_validator("static", "past", "future", "categorical")
    @classmethod
    def _each_once(cls, columns: list[str]) -> list[str]:
        return _unique(columns)

    @model_validator(mode="after")
    def _words_of_covariates(self) -> CovariatesConfig:
        if strangers := [name for name in self.categorical if name not in self.all]:
            raise ValueError(
                f"categorical names {strangers[0]!r}, which is neither static, past nor future; add it to one of them"
            )
        return self


class FormatConfig(Section):
    """How values are written in the file."""

    separator: Auto | Character = Field(
        default="auto",
        description='Character between columns; `auto` finds `,` `;` tab or `|`. A tab is written `"\\t"`.',
    )
    decimal: Literal["auto", ".", ","] = Field(default="auto", description="Decimal mark of numbers.")
    thousands: Character | None = Field(
        default=None, description="Character between groups of digits, as in `1.234.567`; `null` for none."
    )
    encoding: Text = Field(default="utf-8", description="Text encoding, by its Python name.")
    time_format: Auto | Text = Field(
        default="auto",
        description="Date pattern in strftime notation, e.g. `%d.%m.%Y %H:%M`; `auto` reads ISO 8601, with its "
        "weeks (`2024-W05`), and quarters (`2024-Q1`).",
    )
    unit: Literal["s", "ms", "us", "ns"] | None = Field(
        default=None,
        description="Unit of integers that count time since 1970 in UTC; `null` where time is no such count.",
    )
    timezone: Text | None = Field(
        default=None,
        description="Time zone, e.g. `Europe/Berlin`: timestamps without one are on its clock, others are "
        "converted to it; `null` keeps them as they are.",
    )

    repeated_hour: RepeatedHour = Field(
        default="error",
        title="repeated hour",
        description="A local time that daylight saving makes the clock show twice, where a series has it once: refuse, "
        "or take it for the `first` or `second`. Where a series has it twice, the order of its rows tells.",
    )

    @field_validator("encoding")
    @classmethod
    def _known_encoding(cls, encoding: str) -> str:
        try:
            "".encode(encoding)  # raises for codecs that are not about text as well
        except (LookupError, ValueError) as error:
            raise ValueError(
                f"{_clipped(encoding)} is not a text encoding Python knows; write utf-8, latin-1, cp1252 …"
            ) from error
        return encoding

    @field_validator("decimal", mode="before")
    @classmethod
    def _decimal_is_answered(cls, decimal: Any) -> Any:
        if decimal == ASK:
            raise ValueError(
                "init left a question open: do numbers such as 1,500 or 1.500 have three decimals, or is that a "
                "thousand and a half? Write the decimal mark, '.' or ','; where the other mark groups thousands, "
                "set data.format.thousands to it as well"
            )
        return decimal

    @field_validator("unit", mode="before")
    @classmethod
    def _unit_is_answered(cls, unit: Any) -> Any:
        if unit == ASK:
            raise ValueError(
                "init left a question open: what do the integers count? Write s, ms, us or ns for time since 1970; "
                "where they count steps, remove this line and set data.freq: integer"
            )
        return unit

    @field_validator("timezone")
    @classmethod
    def _known_timezone(cls, timezone: str | None) -> str | None:
        if timezone is None:
            return None
        try:
            ZoneInfo(timezone)
        except (KeyError, OSError, ValueError) as error:  # not found; a folder; no name at all
            raise ValueError(
                f"{_clipped(timezone)} is not a time zone; write a name such as Europe/Berlin or UTC"
            ) from error
        return timezone

    @field_validator("separator", "decimal", "thousands")
    @classmethod
    def _usable_mark(cls, mark: str | None, info: ValidationInfo) -> str | None:
        quotes = '"' if info.field_name == "thousands" else "\"'"  # 1'234 is how the Swiss write it
        if mark not in (None, "auto") and (mark in f"{quotes}\r\n\0" or mark.isalnum()):
            raise ValueError(f"{mark!r} cannot stand between values; write a punctuation mark, blank or tab")
        return mark

    @field_validator("time_format")
    @classmethod
    def _has_a_field(cls, time_format: str) -> str:
        if time_format == ASK or time_format.startswith(f"{ASK} "):
            choices = time_format.removeprefix(ASK).strip() or "'%d/%m/%Y' or '%m/%d/%Y'"
            raise ValueError(
                f"init left a question open: the dates can be read in more than one way; write {choices[:60]}"
            )
        if time_format != "auto" and "%" not in time_format:
            raise ValueError(
                f"{_clipped(time_format)} has no field such as %Y; write e.g. '%d.%m.%Y', or auto"
            )
        return time_format

    @model_validator(mode="after")
    def _hours_repeat_in_a_zone(self) -> FormatConfig:
        if self.repeated_hour != "error" and self.timezone is None:
            raise ValueError(
                f"repeated_hour {self.repeated_hour!r} is for local times, and there is no timezone; name it, or "
                "remove repeated_hour"
            )
        return self

    @model_validator(mode="after")
    def _unit_or_pattern(self) -> FormatConfig:
        if self.unit is not None and self.time_format != "auto":
            raise ValueError(
                f"unit {self.unit!r} is for integers and time_format {_clipped(self.time_format)} for dates; keep one"
            )
        return self

    @model_validator(mode="after")
    def _marks_differ(self) -> FormatConfig:
        marks = {"separator": self.separator, "decimal": self.decimal, "thousands": self.thousands}
        written = {name: mark for name, mark in marks.items() if mark not in (None, "auto")}
        if len(set(written.values())) < len(written):
            found = ", ".join(f"{name} {mark!r}" for name, mark in written.items())
            raise ValueError(f"{found}: two of them are the same character; numbers cannot be told apart")
        return self


class RepairConfig(Section):
    """What is done about defects of the data; every repair is counted in the output."""

    duplicates: DuplicatePolicy = Field(
        default="error",
        title="repair policy",
        description="Rows of one series with the same timestamp: refuse, or keep their mean, last or sum.",
    )
    gaps: FillPolicy = Field(
        default="error",
        title="repair policy",
        description="Timestamps that have no row: refuse, leave unknown (`mask`), or fill with a straight line, "
        "the last value, zero or the value one season before.",
    )
    missing: FillPolicy = Field(
        default="error",
        title="repair policy",
        description="Rows that have no target value: refuse, leave unknown, or fill as for gaps.",
    )
    infinite: InfinitePolicy = Field(
        default="error",
        title="repair policy",
        description="Infinite values: refuse, or leave unknown.",
    )
    negative: NegativePolicy = Field(
        default="keep",
        title="repair policy",
        description="Target values below 0: keep, refuse, or set to 0.",
    )


class DataConfig(Section):
    """Where the series are and what their columns mean."""

    path: Text = Field(
        description="CSV or Parquet file, folder or pattern, relative to the YAML file; `-` for stdin, or a URL."
    )
    query: Text | None = Field(
        default=None, description="SQL query whose rows are the data, where `path` names a database."
    )
    time: Text | Annotated[list[Text], Field(min_length=1)] = Field(
        description="Column of timestamps, or of integers with `freq: integer`; a list such as `[date, hour]` where a "
        "timestamp stands in several columns."
    )
    target: Text | Annotated[list[Text], Field(min_length=1)] = Field(
        description="Column to forecast; a list of columns for a wide file with one series per column."
    )
    id: Text | Annotated[list[Text], Field(min_length=1)] | None = Field(
        default=None,
        description="Column that names the series, read as text; a list such as `[store, item]` where it takes "
        "several; `null` for one series or a wide file.",
    )
    freq: Text = Field(
        default="auto",
        description="Step between rows as a pandas offset alias (`h`, `D`, `MS` …), or `integer`.",
    )
    covariates: CovariatesConfig = Field(default_factory=CovariatesConfig, description="Further columns.")
    calendar: Literal["auto", "none"] | list[CalendarFeature] = Field(
        default="auto",
        description="Calendar features the model reads; `auto` takes those that fit the frequency.",
    )
    fourier: int = Field(
        default=1,
        ge=1,
        le=20,
        description="Waves for each calendar feature: its cycle, and with 2 or more also its half, third … part.",
    )
    holidays: Text | None = Field(
        default=None,
        description="Country whose public holidays the model reads, such as `DE`, or `DE-BY` for a part of it.",
    )
    format: FormatConfig = Field(default_factory=FormatConfig, description="How values are written.")
    repair: RepairConfig = Field(default_factory=RepairConfig, description="What is done about defects.")
    on_bad_series: BadSeriesPolicy = Field(
        default="fail",
        description="A series with an error, or too short to learn from: refuse the data (a short one is forecast by "
        "what the others teach), `skip` leaves it out and lists it, `baseline` forecasts it by the seasonal naive.",
    )

    @field_validator("path")
    @classmethod
    def _no_nul(cls, path: str) -> str:
        if "\0" in path:
            raise ValueError(f"{without_secrets(path)!r} holds a NUL character, which no path can; remove it")
        kind_of(path)
        return path

    @field_serializer("path")
    def _without_secrets(self, path: str, info: SerializationInfo) -> str:
        """What is written somewhere has no secrets; a copy that stays in memory asks for them."""
        return path if (info.context or {}).get("secrets") else without_secrets(path)

    def __repr_args__(self) -> Iterator[tuple[str | None, Any]]:
        """Without secrets as well: a notebook shows the config where it is the last line of a cell."""
        for name, value in super().__repr_args__():
            yield name, without_secrets(value) if name == "path" else value

    @model_validator(mode="after")
    def _query_of_a_database(self) -> DataConfig:
        is_database = kind_of(self.path) == "database"
        if is_database and self.query is None:
            raise ValueError("path names a database, and there is no query; add query: SELECT …")
        if self.query is not None and not is_database:
            raise ValueError(
                "query is given, and path names no database; remove query, or give a database URL"
            )
        return self

    @property
    def time_columns(self) -> tuple[str, ...]:
        """The columns a timestamp stands in."""
        return _as_tuple(self.time)

    @property
    def id_columns(self) -> tuple[str, ...]:
        """The columns that name a series; empty where none does."""
        return _as_tuple(self.id)

    @field_validator("time", "target", "id", "calendar")
    @classmethod
    def _each_once(cls, names: str | list[str] | None) -> str | list[str] | None:
        return _unique(names) if isinstance(names, list) else names

    @model_validator(mode="after")
    def _one_meaning_per_column(self) -> DataConfig:
        meanings: dict[str, Sequence[str]] = {
            "time": self.time_columns,
            "id": self.id_columns,
            "target": _as_tuple(self.target),
        }
        meanings |= {
            f"covariates.{kind}": getattr(self.covariates, kind) for kind in ("static", "past", "future")
        }
        seen: dict[str, str] = {}
        for meaning, columns in meanings.items():
            for column in columns:
                if column in seen:
                    raise ValueError(
                        f"column {column!r} is named as both {seen[column]} and {meaning}; "
                        "give each column one meaning"
                    )
                seen[column] = meaning
        return self

    @model_validator(mode="after")
    def _statics_name_series(self) -> DataConfig:
        if self.covariates.static and not isinstance(self.target, str):
            raise ValueError(
                "covariates.static: a wide file has one row for all series, so no column can tell them apart; "
                "remove static, or write the file in long form"
            )
        return self

    @model_validator(mode="after")
    def _time_is_counted_in_one_way(self) -> DataConfig:
        for name in ("unit", "timezone"):
            if self.freq == "integer" and getattr(self.format, name) is not None:
                raise ValueError(
                    f"format.{name} {getattr(self.format, name)!r} is for timestamps, and freq: integer counts "
                    f"steps; remove one of them"
                )
        if len(self.time_columns) > 1 and (self.freq == "integer" or self.format.unit is not None):
            counted = "freq: integer" if self.freq == "integer" else f"format.unit {self.format.unit!r}"
            raise ValueError(
                f"time {list(self.time_columns)!r} names the parts of a timestamp, and {counted} is for one column of "
                "integers; keep one of them"
            )
        return self

    @model_validator(mode="after")
    def _long_or_wide(self) -> DataConfig:
        if self.id is not None and not isinstance(self.target, str):
            raise ValueError(
                f"id {self.id!r} stands beside a list of targets; a wide file has one series per column and "
                "no id: remove id, or name one target"
            )
        return self


class SplitConfig(Section):
    """Steps at the end of each series that are kept from training; the test part comes last."""

    validation: Auto | Steps = Field(
        default="auto", description="Steps before the test part, used to stop training at the right time."
    )
    calibration: Auto | Literal["series"] | StepsOrZero = Field(
        default="auto",
        title="calibration",
        description="Whose errors give the intervals their width: those of so many steps between validation and test "
        "part, or of the validation part of every second series (`series`), which then does not stop the training; 0 "
        "takes the whole validation part.",
    )
    test: Auto | StepsOrZero = Field(
        default="auto", description="Last steps, used for the reported score only; 0 reports none."
    )


class ModelConfig(Section):
    """The recurrent network."""

    cell: Cell = Field(
        default="lstm",
        title="cell",
        description="Recurrent cell; `bilstm` and `bigru` are short for `bidirectional: true`.",
    )
    hidden_size: Auto | Annotated[int, Field(ge=1, le=4096)] = Field(
        default="auto", description="Units per layer and direction; `auto`: 64, and 300 for `esn`."
    )
    num_layers: int = Field(default=1, ge=1, le=16, description="Layers stacked on each other.")
    dropout: float = Field(
        default=0.0, ge=0, lt=1, allow_inf_nan=False, description="Share of units dropped between layers."
    )
    bidirectional: bool = Field(
        default=False, description="Also read the lookback backwards (never past the cutoff)."
    )
    head: Auto | HeadName = Field(
        default="auto",
        title="head",
        description="What is learned of the next value: a point (`mae`, `mse`, `huber`), `quantiles`, or a "
        "distribution; counts: `negative_binomial`, `zero_inflated`; values above 0: `log_normal`. `auto`: `mae`, and "
        "`mse` for `esn`. See docs/uncertainty.md.",
    )
    ensemble: Auto | Annotated[int, Field(ge=1, le=64)] = Field(
        default="auto",
        title="ensemble",
        description="Networks trained one after the other, whose forecasts are pooled; `auto`: up to five where little "
        "data makes the training short, else one, and one where steps or a budget are given.",
    )
    lags: Auto | list[PastSteps] = Field(
        default="auto",
        description="Earlier target values read beside the newest, in steps back from the step to forecast.",
    )
    output_activation: Literal["tanh", "identity"] | None = Field(
        default="tanh",
        title="output activation",
        description="`lstm`: what the cell state passes on its way out.",
    )
    reset: Literal["after", "before"] | None = Field(
        default="after",
        title="reset",
        description="`gru`: the reset gate acts after the recurrent weights (torch, cuDNN) or before (the paper).",
    )
    leak: Auto | Literal["learned"] | Share | None = Field(
        default="auto",
        description="`leaky_rnn`, `esn`: share of its state a unit replaces per step, a number for all units or "
        "`learned`, one per unit; `auto`: learned, and 0.3 for `esn`.",
    )
    spectral_radius: Gain | None = Field(
        default=0.9, description="`esn`: largest absolute eigenvalue of the recurrent weights."
    )
    input_scale: Gain | None = Field(
        default=0.1, description="`esn`: input weights and biases lie between this and its negative."
    )
    ridge: Auto | Positive | None = Field(
        default="auto",
        description="`esn`: penalty on squared readout weights beside the mean squared error; `auto`: the best of "
        "ten on the validation part.",
    )
    washout: Auto | StepsOrZero | None = Field(
        default="auto",
        description="`esn`: first steps of a window the readout is not fitted to; `auto`: all before the cutoff.",
    )

    @model_validator(mode="before")
    @classmethod
    def _write_out_short_form(cls, values: Any) -> Any:
        """`cell: bilstm` becomes `lstm` in both directions, whatever `bidirectional` says beside it."""
        if not isinstance(values, dict) or not isinstance(values.get("cell"), str):
            return values
        if values["cell"] not in SHORT_FORMS or not isinstance(values.get("bidirectional", True), bool):
            return values
        return {**values, "cell": SHORT_FORMS[values["cell"]], "bidirectional": True}

    @model_validator(mode="after")
    def _settings_of_this_cell(self) -> ModelConfig:
        for name, cells in CELLS_WITH.items():
            value = getattr(self, name)
            if self.cell not in cells and value not in (None, ModelConfig.model_fields[name].default):
                raise ValueError(
                    f"{name} {value!r} is a setting of {' and '.join(cells)}, and the cell is {self.cell!r}; "
                    f"remove it, or write cell: {cells[0]}"
                )
        return self

    @model_validator(mode="after")
    def _a_reservoir_is_not_trained(self) -> ModelConfig:
        if self.cell != "esn":
            return self
        if self.bidirectional:
            raise ValueError("cell 'esn' reads the window forward only; remove bidirectional: true")
        if self.dropout > 0:
            raise ValueError(f"cell 'esn' is not trained by gradients; remove dropout: {self.dropout}")
        if self.head not in ("auto", "mse"):
            raise ValueError(
                f"cell 'esn' is fitted to squared errors, which is head: mse; remove head: {self.head}"
            )
        if self.leak == "learned":
            raise ValueError("cell 'esn' has no learned leak; write a number in (0, 1], or auto")
        return self

    @field_validator("lags")
    @classmethod
    def _each_once(cls, lags: str | list[int]) -> str | list[int]:
        return lags if isinstance(lags, str) else _unique(lags)


class TrainingConfig(Section):
    """How the network learns."""

    max_steps: Auto | Updates = Field(default="auto", description="Most updates of the weights.")
    max_epochs: Annotated[float, Field(gt=0, le=1_000_000, allow_inf_nan=False)] | None = Field(
        default=None, description="The same as a number of passes over all windows; the fewer of both."
    )
    budget: Duration | None = Field(
        default=None,
        title="duration",
        description="The same as time, such as `60s`, `5m` or `1h`, the final fit included: turned once into steps, "
        "which the run keeps as `max_steps`; in place of `max_steps: auto`.",
    )
    batch_size: int = Field(default=128, ge=1, le=65_536, description="Windows per update.")
    learning_rate: Auto | Positive = Field(
        default="auto", description="Step size of AdamW at its highest point."
    )
    closed_loop: float = Field(
        default=0.5,
        ge=0,
        le=1,
        allow_inf_nan=False,
        description="Share of batches that are rolled out over the horizon on their own output.",
    )
    patience: Auto | Updates = Field(
        default="auto", description="Validations without improvement before training stops."
    )
    seed: int = Field(default=1, ge=0, le=2**32 - 1, description="Seed of everything random.")
    final_fit: bool = Field(
        default=True,
        description="After scoring, learn from the held-back steps as well before the model is saved.",
    )


class ForecastConfig(Section):
    """What a forecast consists of."""

    quantile_levels: list[Level] = Field(
        default=[0.1, 0.5, 0.9], description="Quantiles beside the point forecast, rising; `[]` for none."
    )
    strategy: Literal["recursive", "direct"] = Field(
        default="recursive",
        title="strategy",
        description="Feed each forecast back, or forecast the whole horizon from the last state.",
    )
    paths: int = Field(
        default=20,
        ge=2,
        le=10_000,
        description="Sample paths that tell how the width of intervals goes with the series and the step, for heads "
        "with a distribution.",
    )
    non_negative: Auto | bool = Field(
        default="auto",
        description="Never forecast below zero; `auto`: for a history that is never negative.",
    )
    integer: bool = Field(
        default=False,
        description="Round paths, quantiles and a forecast that is a median to whole numbers; a mean is not rounded.",
    )
    fallback: ForecastFallback = Field(
        default="none",
        title="fallback",
        description="What forecasts series on which the network does not beat the seasonal naive on the validation "
        "part: the network all the same, or that; judged by series from eight windows up, else for all together.",
    )

    @field_validator("quantile_levels")
    @classmethod
    def _rising(cls, levels: list[float]) -> list[float]:
        for left, right in pairwise(levels):
            if left >= right:
                raise ValueError(f"{right!r} stands after {left!r}; write each level once, in rising order")
        return levels


class RuntimeConfig(Section):
    """Where and how exactly the numbers are computed."""

    device: Literal["auto", "cpu", "cuda"] = Field(
        default="auto",
        title="device",
        description="`auto` takes the GPU where there is one; `cuda` fails without.",
    )
    precision: Literal["float32", "tf32", "bfloat16"] = Field(
        default="float32",
        title="precision",
        description="Number format of matrix products; `tf32` and `bfloat16` are faster on recent GPUs.",
    )
    threads: Auto | Threads = Field(default="auto", description="CPU threads.")
    deterministic: bool = Field(
        default=False,
        description="Take only computations that give the same bits each time, at some cost in speed; `threads: auto` "
        "is one thread then.",
    )


class Config(Section):
    """Settings of one forecasting task."""

    data: DataConfig = Field(description="Where the series are and what their columns mean.")
    horizon: int = Field(ge=1, le=10_000, description="Steps to forecast after the cutoff.")
    lookback: Auto | PastSteps = Field(default="auto", description="Past steps the model reads.")
    season_length: Auto | Steps | Annotated[list[Steps], Field(min_length=1)] = Field(
        default="auto",
        description="Steps in one season, or a list such as `[24, 168]`; the first scales MASE and is the "
        "season of the seasonal naive.",
    )
    split: SplitConfig = Field(default_factory=SplitConfig, description="Steps kept from training.")
    transform: Literal["none", "log", "log1p", "boxcox"] = Field(
        default="none",
        title="transform",
        description="Curve each series is put on before it is scaled; forecasts are brought back. `log` and "
        "`boxcox` take values above 0, `log1p` also 0.",
    )
    difference: PastSteps | None = Field(
        default=None,
        description="Forecast the change from so many steps before instead of the value, and sum it up; `null`: "
        "the value.",
    )
    scaling: Literal[
        "auto",
        "none",
        "standard",
        "standard_by_window",
        "minmax",
        "minmax_by_window",
        "robust",
        "robust_by_window",
        "mean_abs",
        "mean_abs_by_window",
        "seasonal",
        "series",
        "window",
    ] = Field(
        default="auto",
        title="scaling",
        description="How series are brought to one scale, each as a whole or `_by_window`; `auto` is `seasonal` or "
        "`standard_by_window`, whichever validates better after a short trial; `series` and `window` are short for "
        "`standard` and `standard_by_window`. See docs/scaling.md.",
    )
    model: ModelConfig = Field(default_factory=ModelConfig, description="The recurrent network.")
    training: TrainingConfig = Field(default_factory=TrainingConfig, description="How the network learns.")
    forecast: ForecastConfig = Field(
        default_factory=ForecastConfig, description="What a forecast consists of."
    )
    runtime: RuntimeConfig = Field(
        default_factory=RuntimeConfig, description="Where the numbers are computed."
    )

    @model_validator(mode="after")
    def _heads_of_the_data_itself(self) -> Config:
        head = self.model.head
        if head in (*COUNT_HEADS, *POSITIVE_HEADS) and (self.transform != "none" or self.difference):
            done = f"difference: {self.difference}" if self.difference else f"transform: {self.transform}"
            raise ValueError(
                f"model.head {head!r} is about the values themselves, and {done} changes them; remove one of the two"
            )
        if head in COUNT_HEADS and self.scaling not in ("auto", *UNCENTERED_SCALINGS):
            raise ValueError(
                f"model.head {head!r} counts from 0, and scaling {self.scaling!r} subtracts a centre; write "
                f"scaling: auto, or one of {', '.join(UNCENTERED_SCALINGS)}"
            )
        return self

    @model_validator(mode="after")
    def _a_reservoir_is_recursive(self) -> Config:
        if self.model.cell == "esn" and self.forecast.strategy == "direct":
            raise ValueError(
                "forecast.strategy 'direct' is learned by gradients, and the readout of cell 'esn' is not; write "
                "strategy: recursive, or another cell"
            )
        return self

    @field_validator("season_length")
    @classmethod
    def _each_once(cls, seasons: str | int | list[int]) -> str | int | list[int]:
        return _unique(seasons) if isinstance(seasons, list) else seasons


def section_of(field: FieldInfo) -> type[BaseModel] | None:
    """The model behind a key that is a section, None for a key that holds a value."""
    return _if_section(field.annotation)


def entries_of(field: FieldInfo) -> type[BaseModel] | None:
    """The model behind each entry of a key that is a list of sections, None for any other key."""
    return _if_section(get_args(field.annotation)[0]) if get_origin(field.annotation) is list else None


def _if_section(kind: Any) -> type[BaseModel] | None:
    if isinstance(kind, UnionType):  # a section or null
        kind = next(one for one in get_args(kind) if one is not NoneType)
    return kind if isinstance(kind, type) and issubclass(kind, BaseModel) else None


class _WrittenTitles(GenerateJsonSchema):
    """Leaves out the titles pydantic derives from names, so that a title is one somebody chose."""

    def field_title_should_be_set(self, schema: Any) -> bool:  # noqa: ARG002
        return False


def json_schema_of(root: type[BaseModel]) -> dict[str, Any]:
    """The JSON Schema of a YAML file."""
    return root.model_json_schema(schema_generator=_WrittenTitles)


@cache
def keys_of(root: type[BaseModel]) -> Mapping[str, FieldInfo]:
    """Every key of a YAML file that holds a value, as `section.key`, in the order of the schema."""
    return MappingProxyType(dict(_walk(root, prefix="")))


def _walk(model: type[BaseModel], *, prefix: str) -> Iterator[tuple[str, FieldInfo]]:
    for name, field in model.model_fields.items():
        section = section_of(field) or entries_of(field)
        if section is None:
            yield prefix + name, field
        else:
            yield from _walk(section, prefix=f"{prefix}{name}.")


def _clipped(text: str) -> str:
    """A text in quotes for a message, which stays one line however long the text is."""
    return repr(text if len(text) <= MAX_SHOWN else text[: MAX_SHOWN - 3] + "...")


def _as_tuple(names: str | list[str] | None) -> tuple[str, ...]:
    return (names,) if isinstance(names, str) else tuple(names or ())


def _unique(values: list[Item]) -> list[Item]:
    seen: set[Item] = set()
    for value in values:
        if value in seen:
            raise ValueError(f"{value!r} stands twice; write each entry once")
        seen.add(value)
    return values


# Every key that holds a value, as `section.key`, in the order of the schema.
CONFIG_KEYS: Mapping[str, FieldInfo] = keys_of(Config)
