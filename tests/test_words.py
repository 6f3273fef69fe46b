"""What a key may hold, in words, and what was probably meant."""

from __future__ import annotations

import pytest

from tsforecast.config.words import allowed, choices, names_beside, nearest_key, nearest_word, shape_of, shown


@pytest.mark.parametrize(
    ("key", "words"),
    [
        ("horizon", "a whole number from 1 to 10000"),
        ("runtime.threads", "'auto' or a whole number from 1 to 1024"),
        ("training.learning_rate", "'auto' or a number above 0"),
        ("training.closed_loop", "a number at least 0 and at most 1"),
        ("forecast.quantile_levels", "a list, each entry a number above 0 and below 1"),
        ("data.target", "text or a list, each entry text"),
        ("data.id", "text or a list, each entry text or null"),
        ("data.format.thousands", "one character or null"),
        ("forecast.non_negative", "'auto' or true or false"),
        ("data.format.decimal", "one of 'auto', '.', ','"),
    ],
)
def test_what_a_key_may_hold_is_said_in_words(key: str, words: str) -> None:
    assert allowed(shape_of(key)) == words


def test_the_choices_of_a_key_include_those_within_a_list() -> None:
    assert {"auto", "none", "hour_of_day"} <= set(choices(shape_of("data.calendar")))


@pytest.mark.parametrize(
    ("written", "meant"),
    [
        ("model.layrs", "model.num_layers"),
        ("training.maxsteps", "training.max_steps"),
        ("horison", "horizon"),
        ("max_steps", "training.max_steps"),
        ("cell", "model.cell"),
        ("data.gaps", "data.repair.gaps"),
        ("traning.max_steps", "training.max_steps"),
        ("MODEL.CELL", "model.cell"),
        ("model.zzz", None),
        ("zz", None),
    ],
)
def test_a_misspelled_or_misplaced_key_is_found(written: str, meant: str | None) -> None:
    assert nearest_key(written) == meant


def test_case_is_no_difference_between_words() -> None:
    assert nearest_word("LSTM", ["gru", "lstm"]) == "lstm"


def test_a_very_long_word_is_no_misspelling() -> None:
    assert nearest_word("lstm" * 30, ["lstm" * 30]) is None


def test_the_neighbours_of_a_key_are_those_of_its_section() -> None:
    assert names_beside("split.tst") == ["validation", "calibration", "test"]


def test_the_neighbours_of_a_key_in_an_unknown_section_are_the_sections() -> None:
    assert {"data", "horizon", "model"} <= set(names_beside("nothing.tst"))


@pytest.mark.parametrize(
    ("value", "text"),
    [(None, "null"), (True, "true"), (False, "false"), ("a", "'a'"), (1, "1"), ([1, 2], "[1, 2]")],
)
def test_a_value_is_shown_as_it_would_be_written(value: object, text: str) -> None:
    assert shown(value) == text


def test_a_long_value_is_clipped() -> None:
    assert len(shown(["x" * 10_000] * 10_000)) < 500
