"""The YAML that init writes: it loads as the guess, whatever the columns are called."""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tsforecast.config.load import load_config
from tsforecast.config.schema import Config
from tsforecast.config.starter import StarterGuess, render_starter

GUESS = StarterGuess(
    path="load.csv",
    time="time",
    target="load",
    id=None,
    freq="h",
    season_length=[24, 168],
    horizon=24,
    lookback_today=49,
    validation_today=51,
    test_today=52,
)

awkward = st.sampled_from(
    ["NO", "1e-3", "007", "null", "a: b", "x #y", "a\nb", "- a", " a ", "it's", '"', "größe", "🎉"]
)
columns = awkward | st.text(st.characters(exclude_categories=["Cs"]), min_size=1)


def loaded(guess: StarterGuess, path: Path) -> Config:
    """The config that the rendered YAML loads as."""
    path.write_text(render_starter(guess, config_path=path), encoding="utf-8", newline="")
    return load_config(path, environ={})


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(names=st.lists(columns, min_size=3, max_size=6, unique=True), wide=st.booleans(), note=st.text())
def test_any_guess_comes_back_from_its_yaml(tmp_path: Path, names: list[str], wide: bool, note: str) -> None:
    time, series_id, *targets = names
    guess = replace(
        GUESS,
        time=time,
        id=None if wide else series_id,
        target=targets if wide else targets[0],
        notes={"data.target": note, note: note},
    )

    config = loaded(guess, tmp_path / "c.yaml")

    data = config.data
    assert (data.time, data.id, data.target, data.freq) == (guess.time, guess.id, guess.target, "h")
    assert (config.season_length, config.horizon) == ([24, 168], 24)


@pytest.mark.parametrize("name", ["a b.csv", "-", "~x.csv", "it's #1: größe.csv", "a\nb.csv", "*.csv"])
@pytest.mark.parametrize("folder", [".", "data"])
def test_the_file_is_found_from_where_the_yaml_lies(tmp_path: Path, name: str, folder: str) -> None:
    data = tmp_path / folder / name

    config = loaded(replace(GUESS, path=str(data)), tmp_path / "c.yaml")

    assert config.data.path == str(data)


def test_the_path_is_written_relative_to_the_yaml(tmp_path: Path) -> None:
    text = render_starter(
        replace(GUESS, path=str(tmp_path / "data/a.csv")), config_path=tmp_path / "configs/c.yaml"
    )

    assert "  path: ../data/a.csv " in text


def test_what_follows_from_the_horizon_is_auto_with_its_value_of_today_beside_it() -> None:
    lines = render_starter(GUESS, config_path=Path("c.yaml")).splitlines()

    today = {line.split(":")[0].strip(): line for line in lines if "today" in line}

    assert today.keys() == {"lookback", "validation", "test"}
    for name, value in [("lookback", 49), ("validation", 51), ("test", 52)]:
        assert f"{name}: auto " in today[name]
        assert today[name].endswith(f"; today: {value}")


def test_the_first_line_says_what_it_does_and_how_to_run_it() -> None:
    first_line = render_starter(GUESS, config_path=Path("my configs/c.yaml")).splitlines()[0]

    assert first_line == "# Forecasts 'load' 24 steps ahead; run: tsforecast train 'my configs/c.yaml'"


def test_every_value_has_a_comment() -> None:
    lines = render_starter(
        replace(GUESS, target=["a" * 50, "b" * 50]), config_path=Path("c.yaml")
    ).splitlines()

    bare = [
        line
        for before, line in pairwise(lines)
        if "#" not in line and not before.strip().startswith("#") and not line.endswith(":")
    ]

    assert bare == []


def test_a_note_stands_above_its_key() -> None:
    guess = replace(GUESS, notes={"data.target": "Also numeric: price."})

    lines = render_starter(guess, config_path=Path("c.yaml")).splitlines()

    assert lines[lines.index("  # Also numeric: price.") + 1].startswith("  target: load")


def test_settings_of_a_section_in_a_section_stand_below_it(tmp_path: Path) -> None:
    settings = {"data.format.separator": ";", "data.format.decimal": ",", "data.repair.gaps": "interpolate"}
    guess = replace(GUESS, settings=settings, notes={"data.format.decimal": "Sure: seen."})

    config = loaded(guess, tmp_path / "c.yaml")

    assert (config.data.format.separator, config.data.format.decimal) == (";", ",")
    assert config.data.repair.gaps == "interpolate"
    assert "    # Sure: seen.\n    decimal: ','" in (tmp_path / "c.yaml").read_text()


def test_what_nobody_can_say_yet_is_left_out(tmp_path: Path) -> None:
    guess = replace(GUESS, season_length="auto", lookback_today=None, validation_today=None, test_today=None)

    config = loaded(guess, tmp_path / "c.yaml")

    assert config.season_length == "auto"
    assert "today" not in (tmp_path / "c.yaml").read_text()
