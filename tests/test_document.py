"""YAML to values with places, the traps of YAML, and back."""

from __future__ import annotations

import math
import os
from pathlib import Path

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from tsforecast.config.document import (
    MAX_BYTES,
    MAX_DEPTH,
    Document,
    parse_document,
    plain_scalar,
    read_document,
    value_text,
    write_document,
)


def parse(text: str) -> Document:
    return parse_document(text, source="a.yaml")


def only_problem(text: str) -> str:
    """The one problem of a text as ``line:column message``."""
    (problem,) = parse(text).problems
    return f"{problem.place.line}:{problem.place.column} {problem.message}"


# Example 10.9 of the YAML 1.2.2 specification, "Core Tag Resolution", entry by entry.
@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("null", None),
        ("", None),
        ("true", True),
        ("True", True),
        ("false", False),
        ("FALSE", False),
        ("0", 0),
        ("0o7", 7),
        ("0x3A", 58),
        ("-19", -19),
        ("0.", 0.0),
        ("-0.0", -0.0),
        (".5", 0.5),
        ("+12e03", 12000.0),
        ("-2E+05", -200000.0),
        (".inf", math.inf),
        ("-.Inf", -math.inf),
        ("+.INF", math.inf),
    ],
)
def test_an_unquoted_scalar_is_what_the_specification_says(text: str, value: object) -> None:
    found = plain_scalar(text)

    assert (type(found), found) == (type(value), value)


def test_nan_is_read_as_the_specification_says() -> None:
    value = plain_scalar(".NAN")

    assert isinstance(value, float)
    assert math.isnan(value)


def test_a_number_in_scientific_notation_needs_no_point() -> None:
    assert plain_scalar("1e-3") == 0.001


@pytest.mark.parametrize(
    "text", ["NO", "on", "yes", "1_000", "1:30", "2024-01-01", "1.2.3", "e5", ".", "-", "٣"]
)
def test_what_only_yaml_1_1_takes_for_something_else_is_text(text: str) -> None:
    assert plain_scalar(text) == text


def test_a_number_too_long_for_python_is_text() -> None:
    digits = "9" * 5000

    assert plain_scalar(digits) == digits


def test_every_value_knows_its_line_and_column() -> None:
    places = parse("model:\n  cell: lsmt\nlevels: [0.1,\n   0.9]\n").places

    found = {path: (place.line, place.column) for path, place in places.items()}

    assert found == {
        (): (1, 1),
        ("model",): (2, 3),
        ("model", "cell"): (2, 9),
        ("levels",): (3, 9),
        ("levels", 0): (3, 10),
        ("levels", 1): (4, 4),
    }


def test_every_key_knows_its_line_and_column() -> None:
    places = parse("model:\n  cell: lsmt\n").key_places

    assert {path: (place.line, place.column) for path, place in places.items()} == {
        ("model",): (1, 1),
        ("model", "cell"): (2, 3),
    }


def test_keys_are_text_whatever_they_look_like() -> None:
    assert parse("NO: 1\n1: 2\nnull: 3\n").values == {"NO": 1, "1": 2, "null": 3}


def test_quoted_text_stays_text() -> None:
    assert parse("a: '1'\nb: \"true\"\nc: |\n  null\n").values == {"a": "1", "b": "true", "c": "null\n"}


def test_a_key_that_stands_twice_is_a_problem_and_the_first_counts() -> None:
    document = parse("a: 1\nb: 2\na: 3\n")

    assert document.values == {"a": 1, "b": 2}
    assert [(problem.path, problem.message) for problem in document.problems] == [
        (("a",), "stands twice, first in line 1; remove one")
    ]


def test_an_alias_is_a_problem() -> None:
    assert "3:4 the alias '*x' is not supported" in only_problem("a:\n  - 1\nb: *x\n")


def test_an_alias_bomb_is_not_expanded() -> None:
    levels = "\n".join(f"l{i}: &l{i} [{', '.join([f'*l{i - 1}'] * 9)}]" for i in range(1, 40))

    document = parse(f"l0: &l0 [lol]\n{levels}\n")

    assert document.values["l39"] == [None] * 9


@pytest.mark.parametrize("tag", ["!!python/object/apply:os.system", "!!python/name:os.system", "!!str", "!x"])
def test_a_tag_is_a_problem_and_nothing_is_built(tag: str) -> None:
    document = parse(f"a: {tag} [echo]")

    assert document.values == {"a": ["echo"]}
    assert f"the tag '{tag}' is not supported" in document.problems[0].message


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("", "1:1 is empty; a config needs at least data.path"),
        ("# only a comment\n", "1:1 is empty"),
        ("---\n", "1:1 is empty"),
        ("a: 1\n\tb: 2\n", "2:1 a tab stands where YAML allows only blanks; indent with blanks"),
        ("a: 1\n   b: 2\n", "2:5 not YAML: mapping values are not allowed here"),
        ("a: [1, 2\n", "2:1 not YAML: while parsing a flow sequence"),
        ("a: ,\n", "1:4 not YAML: while parsing a block node"),
        ("a: 1\n---\nb: 2\n", "2:1 a second document starts here"),
        ("? [a]\n: 1\n", "1:3 a list, mapping or alias stands where a key should"),
        ("ok: 1\na: \x07\n", r"2:4 the character '\x07' is not allowed"),
        ('ok: 1\na: "\\UFFFFFFFF"\n', "2:"),
    ],
)
def test_what_is_not_one_mapping_of_yaml_is_a_problem_at_its_place(text: str, problem: str) -> None:
    assert only_problem(text).startswith(problem)


def test_an_escape_beyond_unicode_is_a_problem_in_words() -> None:
    assert "escape names a character that does not exist" in only_problem('a: "\\UFFFFFFFF"')


@pytest.mark.parametrize("opening", ["[", "{a: ", "- "])
def test_nesting_of_3000_levels_ends_in_a_problem(opening: str) -> None:
    assert f"nested deeper than {MAX_DEPTH} levels" in only_problem(opening * 3000)


@pytest.mark.parametrize(("levels", "n_problems"), [(MAX_DEPTH, 0), (MAX_DEPTH + 1, 1)])
def test_nesting_is_read_up_to_the_limit(levels: int, n_problems: int) -> None:
    assert len(parse("[" * levels + "1" + "]" * levels).problems) == n_problems


def test_more_values_than_a_config_can_hold_are_a_problem() -> None:
    assert "more than 100000 values" in only_problem("a: [" + "1," * 100_001 + "]")


def test_a_file_of_ten_megabytes_is_not_read(tmp_path: Path) -> None:
    path = tmp_path / "big.yaml"
    path.write_text("#" * 10 * MAX_BYTES, encoding="utf-8")

    (problem,) = read_document(path).problems

    assert problem.message == "is larger than 1000000 bytes; expected a config, not data"


def test_a_byte_that_is_not_utf_8_is_a_problem_at_its_place(tmp_path: Path) -> None:
    path = tmp_path / "latin.yaml"
    path.write_bytes("a: 1\nb: ä\n".encode("latin-1"))

    (problem,) = read_document(path).problems

    assert str(problem.place) == f"{path}:2:4"
    assert problem.message == "byte 0xe4 is not UTF-8; save the file as UTF-8"


def test_a_byte_order_mark_is_no_part_of_the_first_key(tmp_path: Path) -> None:
    path = tmp_path / "bom.yaml"
    path.write_bytes(b"\xef\xbb\xbfa: 1\r\n")

    assert read_document(path).values == {"a": 1}


def test_a_missing_file_is_a_problem_that_names_init(tmp_path: Path) -> None:
    (problem,) = read_document(tmp_path / "none.yaml").problems

    assert "no such file; `tsforecast init" in problem.message


def test_a_folder_is_a_problem(tmp_path: Path) -> None:
    (problem,) = read_document(tmp_path).problems

    assert problem.message == "is a folder; expected a YAML file"


def test_a_pipe_that_nobody_writes_to_is_a_problem_and_not_a_wait(tmp_path: Path) -> None:
    path = tmp_path / "pipe"
    os.mkfifo(path)

    (problem,) = read_document(path).problems

    assert "not a regular file" in problem.message


def test_a_name_no_file_can_have_is_a_problem() -> None:
    (problem,) = read_document(Path("a\0b")).problems

    assert "cannot be read" in problem.message


scalars = (
    st.none()
    | st.booleans()
    | st.integers(-(10**9), 10**9)
    | st.floats(allow_nan=False, allow_infinity=False)
)
texts = st.text(st.characters(exclude_categories=["Cs"])) | st.sampled_from(
    [
        "NO",
        "1e-3",
        "007",
        "~",
        "null",
        "a: b",
        "x #y",
        "- a",
        " a ",
        "\n",
        "&a",
        "*a",
        "\ufeff",
        "\x85",
        "🎉",
        "0x1F",
    ]
)
values = st.lists(scalars | texts, max_size=4) | scalars | texts


@given(st.dictionaries(texts, values | st.dictionaries(texts, values, max_size=3), min_size=1, max_size=4))
def test_what_is_written_is_read_back(mapping: dict[str, object]) -> None:
    document = parse(write_document(mapping))

    assert document.problems == []
    assert document.values == mapping


@given(st.dictionaries(st.just("k"), texts, min_size=1))
def test_text_is_text_for_a_reader_of_yaml_1_1_too(mapping: dict[str, str]) -> None:
    assert yaml.safe_load(write_document(mapping)) == mapping


@given(values)
def test_a_value_is_written_on_one_line(value: object) -> None:
    text = value_text(value)

    assert text.isprintable()
    assert parse(f"k: {text}").values == {"k": value}


def test_a_header_becomes_comments() -> None:
    text = write_document({"a": [1, 2]}, header="One.\n\nTwo.")

    assert text == "# One.\n#\n# Two.\na: [1, 2]\n"
