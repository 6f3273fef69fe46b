"""The models of the config: bounds, defaults, and what may stand beside what."""

from __future__ import annotations

import math
from typing import Any

import pytest
from pydantic import ValidationError

from tsforecast.config.schema import (
    CALENDAR_FEATURES,
    CELL_NAMES,
    CELLS_WITH,
    CONFIG_KEYS,
    SHORT_FORMS,
    Config,
)

DATA = {"path": "a.csv", "time": "t", "target": "y"}
REQUIRED = {"data": DATA, "horizon": 12}


def config_with(key: str, value: Any) -> Config:
    """The smallest config with one more value at a dotted key."""
    values: dict[str, Any] = {**REQUIRED, "data": dict(DATA)}
    *sections, name = key.split(".")
    inner = values
    for section in sections:
        inner = inner.setdefault(section, {})
    inner[name] = value
    return Config.model_validate(values)


def test_only_four_keys_have_to_be_given() -> None:
    required = [key for key, field in CONFIG_KEYS.items() if field.is_required()]

    assert required == ["data.path", "data.time", "data.target", "horizon"]


def test_a_config_cannot_be_changed() -> None:
    config = Config.model_validate(REQUIRED)

    with pytest.raises(ValidationError, match="frozen"):
        config.model.hidden_size = 3  # type: ignore[misc]


def test_every_key_says_what_it_means() -> None:
    silent = [key for key, field in CONFIG_KEYS.items() if not (field.description or "").endswith(".")]

    assert silent == []


@pytest.mark.parametrize(("short", "long"), [("bilstm", "lstm"), ("bigru", "gru")])
def test_a_short_form_becomes_its_cell_in_both_directions(short: str, long: str) -> None:
    model = config_with("model", {"cell": short}).model

    assert (model.cell, model.bidirectional) == (long, True)


def test_a_short_form_wins_over_a_written_false() -> None:
    model = config_with("model", {"cell": "bilstm", "bidirectional": False}).model

    assert model.bidirectional is True


def test_a_short_form_does_not_hide_what_is_no_boolean() -> None:
    with pytest.raises(ValidationError, match="valid boolean"):
        config_with("model", {"cell": "bilstm", "bidirectional": "no"})


def test_a_short_form_stands_for_a_cell_that_is_no_short_form() -> None:
    assert set(SHORT_FORMS.values()) <= set(CELL_NAMES)
    assert not set(SHORT_FORMS) & set(CELL_NAMES)


@pytest.mark.parametrize(
    ("name", "value", "cell", "owners"),
    [
        ("output_activation", "identity", "gru", "lstm"),
        ("output_activation", "identity", "lstm_peephole", "lstm"),
        ("reset", "before", "lstm", "gru"),
        ("leak", 0.3, "rnn", "leaky_rnn and esn"),
        ("spectral_radius", 0.8, "leaky_rnn", "esn"),
        ("input_scale", 1.0, "lstm", "esn"),
        ("ridge", 0.1, "lstm", "esn"),
        ("washout", 5, "rnn", "esn"),
    ],
)
def test_a_setting_of_another_cell_is_refused(name: str, value: object, cell: str, owners: str) -> None:
    with pytest.raises(
        ValidationError, match=rf"{name} .* is a setting of {owners}, and the cell is '{cell}'"
    ):
        config_with("model", {"cell": cell, name: value})


@pytest.mark.parametrize(("name", "cells"), CELLS_WITH.items())
def test_a_setting_is_taken_by_the_cells_that_have_it(name: str, cells: tuple[str, ...]) -> None:
    value = {"output_activation": "identity", "reset": "before"}.get(name, 1)
    for cell in cells:
        assert getattr(config_with("model", {"cell": cell, name: value}).model, name) == value


@pytest.mark.parametrize(
    ("setting", "message"),
    [
        ({"bidirectional": True}, "reads the window forward only"),
        ({"dropout": 0.2}, "not trained by gradients"),
        ({"leak": "learned"}, "no learned leak"),
    ],
)
def test_a_reservoir_is_not_asked_for_what_only_training_gives(
    setting: dict[str, object], message: str
) -> None:
    with pytest.raises(ValidationError, match=message):
        config_with("model", {"cell": "esn", **setting})


@pytest.mark.parametrize("value", [1.5, "7", True, 0, -1, 10_001, 10**9, 10**400, math.nan, None])
def test_a_horizon_is_a_whole_number_from_1_to_10000(value: object) -> None:
    with pytest.raises(ValidationError, match="horizon"):
        config_with("horizon", value)


@pytest.mark.parametrize(
    ("key", "bad"),
    [
        ("lookback", 0),
        ("lookback", 10**9),
        ("season_length", 0),
        ("season_length", []),
        ("season_length", [24, 0]),
        ("season_length", [24, 24]),
        ("split.validation", 0),
        ("split.test", -1),
        ("model.cell", "rnn2"),
        ("model.hidden_size", 10**9),
        ("model.num_layers", 10**6),
        ("model.dropout", 1.0),
        ("model.dropout", -0.1),
        ("model.lags", [0]),
        ("model.lags", [24, 24]),
        ("training.max_steps", 0),
        ("training.batch_size", 0),
        ("training.learning_rate", 0.0),
        ("training.learning_rate", math.nan),
        ("training.learning_rate", math.inf),
        ("training.closed_loop", 1.1),
        ("training.closed_loop", math.nan),
        ("training.patience", 0),
        ("training.seed", -1),
        ("forecast.quantile_levels", [0.0, 0.5]),
        ("forecast.quantile_levels", [0.5, 1.0]),
        ("forecast.quantile_levels", [1.2]),
        ("forecast.quantile_levels", [math.nan]),
        ("forecast.quantile_levels", [0.5, 0.5]),
        ("forecast.quantile_levels", [0.9, 0.1]),
        ("forecast.non_negative", 1),
        ("runtime.device", "tpu"),
        ("runtime.threads", 0),
        ("scaling", "maximum"),
        ("data.path", ""),
        ("data.path", "a\0b"),
        ("data.target", []),
        ("data.target", ["y", "y"]),
        ("data.calendar", ["hour"]),
        ("data.calendar", ["day_of_week", "day_of_week"]),
        ("data.covariates.past", ["x", "x"]),
        ("data.format.separator", ";;"),
        ("data.format.separator", "\n"),
        ("data.format.separator", "a"),
        ("data.format.encoding", "utf-9"),
        ("data.format.encoding", "base64"),
        ("data.format.time_format", "dd.mm.yyyy"),
        ("data.repair.gaps", "mean"),
        ("data.repair.duplicates", "zero"),
    ],
)
def test_a_value_out_of_bounds_is_refused_at_its_key(key: str, bad: object) -> None:
    with pytest.raises(ValidationError, match=key.replace(".", r"\.")):
        config_with(key, bad)


@pytest.mark.parametrize(
    ("key", "good"),
    [
        ("horizon", 10_000),
        ("lookback", 100_000),
        ("season_length", [24, 168]),
        ("split.test", 0),
        ("model.dropout", 0),
        ("model.lags", []),
        ("training.closed_loop", 1),
        ("training.learning_rate", 1),
        ("training.seed", 0),
        ("forecast.quantile_levels", []),
        ("forecast.non_negative", False),
        ("data.calendar", list(CALENDAR_FEATURES)),
        ("data.calendar", []),
        ("data.format.separator", "auto"),
        ("data.format.separator", "\t"),
        ("data.format.decimal", ","),
        ("data.format.thousands", " "),
        ("data.format.encoding", "cp1252"),
        ("data.format.time_format", "%d.%m.%Y"),
    ],
)
def test_a_value_at_the_edge_of_its_bounds_is_kept(key: str, good: object) -> None:
    value: Any = config_with(key, good)
    for part in key.split("."):
        value = getattr(value, part)

    assert value == good


@pytest.mark.parametrize(
    ("data", "columns"),
    [
        ({"target": "t"}, "'t' is named as both time and target"),
        ({"id": "t"}, "'t' is named as both time and id"),
        ({"id": "y"}, "'y' is named as both id and target"),
        ({"covariates": {"past": ["y"]}}, r"'y' is named as both target and covariates\.past"),
        ({"target": ["a", "t"]}, "'t' is named as both time and target"),
    ],
)
def test_a_column_has_one_meaning(data: dict[str, Any], columns: str) -> None:
    with pytest.raises(ValidationError, match=columns):
        config_with("data", {**DATA, **data})


def test_a_wide_file_has_no_id() -> None:
    with pytest.raises(ValidationError, match=r"id 'site' stands beside a list of targets.*remove id"):
        config_with("data", {**DATA, "target": ["a", "b"], "id": "site"})


def test_two_marks_of_a_number_differ() -> None:
    with pytest.raises(ValidationError, match=r"decimal ',', thousands ','.*same character"):
        config_with("data.format", {"decimal": ",", "thousands": ","})


@pytest.mark.parametrize(
    ("key", "value", "words"),
    [
        ("time_format", "ask '%d/%m/%Y' or '%m/%d/%Y'", "write '%d/%m/%Y' or '%m/%d/%Y'"),
        ("time_format", "ask", "write '%d/%m/%Y' or '%m/%d/%Y'"),
        ("unit", "ask", "Write s, ms, us or ns"),
        ("decimal", "ask", "Write the decimal mark"),
    ],
)
def test_a_question_that_init_left_open_is_no_value(key: str, value: str, words: str) -> None:
    with pytest.raises(ValidationError, match=f"init left a question open.*{words}"):
        config_with("data.format", {key: value})


def test_time_is_counted_in_one_way() -> None:
    with pytest.raises(
        ValidationError, match=r"format\.unit 's' is for timestamps, and freq: integer counts"
    ):
        config_with(
            "data", {"path": "a.csv", "time": "t", "target": "y", "freq": "integer", "format": {"unit": "s"}}
        )
    with pytest.raises(ValidationError, match="unit 's' is for integers and time_format '%Y' for dates"):
        config_with("data.format", {"unit": "s", "time_format": "%Y"})


def test_a_time_zone_is_one_that_is_known() -> None:
    with pytest.raises(
        ValidationError, match="'Berlin' is not a time zone; write a name such as Europe/Berlin"
    ):
        config_with("data.format", {"timezone": "Berlin"})
