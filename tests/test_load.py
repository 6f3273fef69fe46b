"""From YAML, environment and --set to one Config, with every problem in one report."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, get_args

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tsforecast.config.load import (
    config_from_mapping,
    dump_config,
    load_config,
    load_config_with_origins,
    value_at,
    with_overrides,
)
from tsforecast.config.schema import CONFIG_KEYS, Cell, Config
from tsforecast.errors import ConfigError

REQUIRED = "data: {path: a.csv, time: t, target: y}\nhorizon: 12\n"
MAPPING: dict[str, Any] = {"data": {"path": "a.csv", "time": "t", "target": "y"}, "horizon": 12}

Load = Callable[..., Config]


@pytest.fixture
def load(tmp_path: Path) -> Load:
    """Loads a text as if it were the file c.yaml, in an empty environment unless one is given."""

    def load_text(text: str, *overrides: str, environ: Mapping[str, str] | None = None) -> Config:
        path = tmp_path / "c.yaml"
        path.write_text(text, encoding="utf-8")
        return load_config(path, overrides=overrides, environ=environ or {})

    return load_text


def problems_of(call: Callable[[], object]) -> list[str]:
    """The lines of the report, without the folder of the file."""
    with pytest.raises(ConfigError) as caught:
        call()
    return [
        line[line.find("c.yaml") :] if "c.yaml" in line else line for line in str(caught.value).split("\n")
    ]


def test_what_is_not_given_has_its_default(load: Load) -> None:
    config = load(REQUIRED)

    assert config.horizon == 12
    assert config.lookback == "auto"
    assert config.model.cell == "lstm"
    assert config.forecast.quantile_levels == [0.1, 0.5, 0.9]


def test_a_section_with_nothing_in_it_has_its_defaults(load: Load) -> None:
    assert load(REQUIRED + "model:\n  # cell: gru\n") == load(REQUIRED)


def test_every_problem_is_in_one_report_in_the_order_of_the_file(load: Load) -> None:
    text = "data: {path: a.csv, tme: t}\nhorizon: 1.5\nmodel:\n  layrs: 2\n  cell: lsmt\n"

    lines = problems_of(lambda: load(text, "training.seed=x", "split.tst=1"))

    assert [line.split(" (")[0] for line in lines] == [
        "c.yaml:1:7: data.time: is required but missing; add it",
        "c.yaml:1:7: data.target: is required but missing; add it",
        "c.yaml:1:21: data.tme: unknown key. Did you mean 'data.time'?",
        "c.yaml:2:10: horizon: found 1.5; expected a whole number from 1 to 10000.",
        "c.yaml:4:3: model.layrs: unknown key. Did you mean 'model.num_layers'?",
        "c.yaml:5:9: model.cell: 'lsmt' is not a known cell",
        "--set: training.seed: found 'x'; expected a whole number from 0 to 4294967295.",
        "--set: split.tst: unknown key. Did you mean 'split.test'?",
    ]


def test_each_missing_key_is_named_when_its_section_is_missing(load: Load) -> None:
    lines = problems_of(lambda: load("lookback: 3\n"))

    keys = [line.split(": ")[1] for line in lines]

    assert keys == ["data.path", "data.time", "data.target", "horizon"]


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("lookback: aut", "3:11: lookback: found 'aut'; expected 'auto' or .* Did you mean 'auto'?"),
        ("scaling: windw", "'windw' is not a known scaling .* Did you mean 'window'?"),
        ("season_length: [24, x]", r"3:21: season_length\[1\]: found 'x'; expected a whole number"),
        ("season_length: []", r"found \[\]; expected .*, not empty\."),
        ("training: {learning_rate: -1e-3}", "3:27: .*found -0.001; expected 'auto' or a number above 0"),
        ("training: {final_fit: NO}", "found 'NO'; expected true or false"),
        ("training: {final_fit: null}", "found null; expected true or false"),
        (
            "model: 3",
            "3:8: model: found 3; expected a section with keys such as cell, hidden_size, num_layers",
        ),
        ("max_steps: 3", "3:1: max_steps: unknown key. Did you mean 'training.max_steps'?"),
        ("model: {zzz: 1}", "model.zzz: unknown key; expected one of cell, hidden_size, num_layers"),
        ("training.seed: 1", "3:1: training.seed: keys are nested here; write `seed:` below `training:`"),
        ("data.format.encoding: x", "write `encoding:` below `data: format:`"),
        (
            "forecast: {quantile_levels: [0.9, 0.1]}",
            "0.1 stands after 0.9; write each level once, in rising order",
        ),
        ("horizon: 3", "3:1: horizon: stands twice, first in line 2; remove one"),
        ("split: *x", r"3:8: split: the alias '\*x' is not supported"),
        ("model: {lags: [0]}", r"model\.lags\[0\]: found 0"),
        ('"a\\nb": 1', r"3:1: 'a\\nb': unknown key"),
        ("<<: {a: 1}", "3:1: <<: unknown key"),
    ],
)
def test_a_problem_says_where_what_and_what_instead(load: Load, text: str, problem: str) -> None:
    with pytest.raises(ConfigError, match=problem):
        load(f"{REQUIRED}{text}\n")


def test_a_number_where_text_belongs_is_shown_how_to_become_text(load: Load) -> None:
    with pytest.raises(
        ConfigError,
        match=r'data\.time: found 7; expected text or a list, each entry text\. If text.*double quotes: "007"',
    ):
        load("data: {path: a.csv, time: 007, target: y}\nhorizon: 12\n")


def test_of_a_list_only_the_wrong_entries_are_reported(load: Load) -> None:
    lines = problems_of(lambda: load(f"{REQUIRED}season_length: [24, x, 0]\n"))

    assert [line.split(": ")[1] for line in lines] == ["season_length[1]", "season_length[2]"]


def test_nothing_is_said_about_what_lies_below_an_alias(load: Load) -> None:
    lines = problems_of(lambda: load("data: *x\nhorizon: 3\n"))

    assert lines == ["c.yaml:1:7: data: the alias '*x' is not supported; write the value out."]


def test_the_values_below_a_key_that_stands_twice_are_checked_all_the_same(load: Load) -> None:
    lines = problems_of(lambda: load(f"{REQUIRED}model: {{cell: x}}\nmodel: {{}}\n"))

    assert len(lines) == 2


@pytest.mark.parametrize("text", ["- data\n- horizon\n", "data\n", "3\n"])
def test_a_document_that_is_no_mapping_is_refused(load: Load, text: str) -> None:
    with pytest.raises(
        ConfigError, match=r"c\.yaml:1:1: found .*; expected keys such as `data:` and `horizon:`"
    ):
        load(text)


def test_a_thousand_problems_do_not_fill_the_screen(load: Load) -> None:
    lines = problems_of(lambda: load(REQUIRED + "".join(f"key_{i}: 1\n" for i in range(1000))))

    assert len(lines) == 31
    assert lines[-1] == "Problems that are not shown: 970."


def test_a_report_holds_nothing_that_speaks_to_the_terminal(tmp_path: Path) -> None:
    path = tmp_path / "\x1b[31m.yaml"
    path.write_text('"\\e[2J": 1\n', encoding="utf-8")

    with pytest.raises(ConfigError) as caught:
        load_config(path, environ={})

    assert all(line.isprintable() for line in str(caught.value).split("\n"))


def test_a_missing_file_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"none\.yaml: no such file; `tsforecast init"):
        load_config(tmp_path / "none.yaml", environ={})


# --- environment and --set


def test_a_flag_beats_the_environment_which_beats_the_file(load: Load) -> None:
    text = REQUIRED + "training: {seed: 2, batch_size: 2, max_steps: 2}\n"
    environ = {"TSFORECAST_TRAINING__SEED": "3", "TSFORECAST_TRAINING__BATCH_SIZE": "3"}

    training = load(text, "training.seed=4", environ=environ).training

    assert (training.seed, training.batch_size, training.max_steps) == (4, 3, 2)


def test_the_environment_of_the_process_counts_when_no_other_is_given(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TSFORECAST_TRAINING__SEED", "3")
    path = tmp_path / "c.yaml"
    path.write_text(REQUIRED, encoding="utf-8")

    assert load_config(path).training.seed == 3
    assert load_config(path, environ={}).training.seed == 1


def test_the_case_of_an_environment_variable_does_not_matter(load: Load) -> None:
    assert load(REQUIRED, environ={"tsforecast_Training__max_steps": "50"}).training.max_steps == 50


def test_an_environment_variable_that_is_no_key_is_refused(load: Load) -> None:
    with pytest.raises(ConfigError, match=r"environment TSFORECAST_MODEL__CEL: model\.cel: .*'model\.cell'"):
        load(REQUIRED, environ={"TSFORECAST_MODEL__CEL": "gru"})


def test_two_environment_variables_for_one_key_are_refused(load: Load) -> None:
    with pytest.raises(ConfigError, match="TSFORECAST_HORIZON sets horizon as well; keep one"):
        load(REQUIRED, environ={"TSFORECAST_HORIZON": "3", "tsforecast_horizon": "4"})


def test_a_variable_of_another_tool_is_left_alone(load: Load) -> None:
    assert load(REQUIRED, environ={"HORIZON": "x", "MY_TSFORECAST_HORIZON": "x"}).horizon == 12


@pytest.mark.parametrize(
    ("override", "value"),
    [
        ("season_length=[24, 168]", [24, 168]),
        ("training.learning_rate=1e-3", 0.001),
        ("training.final_fit=false", False),
        ("data.id=NO", "NO"),
        ('data.id="7"', "7"),
        ("data.id=null", None),
        ("data.time=a: b #c", "a: b #c"),
        ("data.time=a=b", "a=b"),
        ("data.format.separator=,", ","),
        ("data.format.separator= ", " "),
        (" horizon = 3 ", 3),
        ("data.target=['a b', c]", ["a b", "c"]),
    ],
)
def test_set_takes_a_value_as_yaml_reads_it_but_needs_no_quotes(
    load: Load, override: str, value: object
) -> None:
    config = load(REQUIRED, override)

    assert value_at(config, override.partition("=")[0].strip()) == value


@pytest.mark.parametrize(
    ("override", "problem"),
    [
        ("horizon", "--set: 'horizon' has no '='; write key=value, as in training.max_steps=50"),
        ("model=3", "--set: model: is a section and holds no value; set one of its keys: model.cell"),
        ("training.maxsteps=3", "--set: training.maxsteps: unknown key. Did you mean 'training.max_steps'?"),
        ("horizon.x=3", "--set: horizon.x: unknown key"),
        ("data.target=[a", r"--set: data\.target: '\[a': not YAML"),
        ("horizon=", "--set: horizon: found null; expected a whole number"),
        ("horizon=x", "--set: horizon: found 'x'; expected a whole number"),
        ("season_length=[1, x]", r"--set: season_length\[1\]: found 'x'"),
    ],
)
def test_a_problem_of_set_names_set_and_the_key(load: Load, override: str, problem: str) -> None:
    with pytest.raises(ConfigError, match=problem):
        load(REQUIRED, override)


@pytest.mark.parametrize("value", ["[24, x]", "*x", "!!int 7"])
def test_a_problem_of_the_file_is_mended_by_an_override(load: Load, value: str) -> None:
    assert load(REQUIRED + f"season_length: {value}\n", "season_length=[24]").season_length == [24]


def test_an_override_does_not_mend_a_section_that_is_none(load: Load) -> None:
    with pytest.raises(ConfigError, match="model: found 3; expected a section"):
        load(REQUIRED + "model: 3\n", "model.cell=gru")


def test_the_last_of_two_overrides_counts(load: Load) -> None:
    assert load(REQUIRED, "horizon=3", "horizon=4").horizon == 4


# --- origins


def test_every_value_has_its_origin(tmp_path: Path) -> None:
    path = tmp_path / "c.yaml"
    path.write_text(REQUIRED + "model:\n  cell: gru\nlookback: 3\n", encoding="utf-8")
    environ = {"TSFORECAST_LOOKBACK": "4"}

    config, origins = load_config_with_origins(path, overrides=["training.seed=5"], environ=environ)

    assert origins.keys() == CONFIG_KEYS.keys()
    assert {key: origin for key, origin in origins.items() if origin != "default"} == {
        "data.path": f"{path}:1",
        "data.time": f"{path}:1",
        "data.target": f"{path}:1",
        "horizon": f"{path}:2",
        "model.cell": f"{path}:4",
        "lookback": "environment TSFORECAST_LOOKBACK",
        "training.seed": "--set",
    }
    assert config.lookback == 4


def test_the_direction_that_a_short_form_sets_has_its_origin(tmp_path: Path) -> None:
    path = tmp_path / "c.yaml"
    path.write_text(REQUIRED + "model:\n  cell: bilstm\n  bidirectional: false\n", encoding="utf-8")

    _, origins = load_config_with_origins(path, environ={})

    assert origins["model.bidirectional"] == f"{path}:4"


# --- paths


@pytest.mark.parametrize(
    ("written", "read"),
    [
        ("a.csv", "{folder}/configs/a.csv"),
        ("../data/a.csv", "{folder}/data/a.csv"),
        ("../data/*.csv", "{folder}/data/*.csv"),
        ("/abs/a.csv", "/abs/a.csv"),
        ("'-'", "-"),
        ("s3://bucket/a.csv", "s3://bucket/a.csv"),
    ],
)
def test_a_path_in_the_file_starts_from_its_folder(tmp_path: Path, written: str, read: str) -> None:
    path = tmp_path / "configs" / "c.yaml"
    path.parent.mkdir()
    path.write_text(f"data: {{path: {written}, time: t, target: y}}\nhorizon: 12\n", encoding="utf-8")

    config = load_config(path, environ={})

    assert config.data.path == read.format(folder=tmp_path)


def test_two_dots_leave_the_folder_that_a_link_leads_to(tmp_path: Path) -> None:
    (tmp_path / "real" / "configs").mkdir(parents=True)
    (tmp_path / "link").symlink_to(tmp_path / "real" / "configs")
    (tmp_path / "link" / "c.yaml").write_text(REQUIRED.replace("a.csv", "../a.csv"), encoding="utf-8")

    config = load_config(tmp_path / "link" / "c.yaml", environ={})

    assert config.data.path == str(tmp_path / "real" / "a.csv")


def test_a_path_from_the_home_folder_starts_there(load: Load, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", "/home/ann")

    assert load(REQUIRED.replace("a.csv", "~/a.csv")).data.path == "/home/ann/a.csv"


@pytest.mark.parametrize(
    ("overrides", "environ"), [(["data.path=b.csv"], {}), ([], {"TSFORECAST_DATA__PATH": "b.csv"})]
)
def test_a_path_from_outside_the_file_starts_from_the_current_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, overrides: Sequence[str], environ: Mapping[str, str]
) -> None:
    path = tmp_path / "c.yaml"
    path.write_text(REQUIRED, encoding="utf-8")
    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path / "here")

    config = load_config(path, overrides=overrides, environ=environ)

    assert config.data.path == str(tmp_path / "here" / "b.csv")


# --- mappings, changes, dumps


def test_a_mapping_is_read_as_the_yaml_would_be(load: Load, tmp_path: Path) -> None:
    assert config_from_mapping(MAPPING, base=tmp_path) == load(REQUIRED)


def test_a_mapping_may_hold_what_python_has_instead_of_yaml(tmp_path: Path) -> None:
    config = config_from_mapping(
        {
            "data": {"path": tmp_path / "a.csv", "time": "t", "target": ("a", "b")},
            "horizon": np.int64(3),
            "training": {"learning_rate": np.float64(0.5)},
        }
    )

    assert config.data.path == str(tmp_path / "a.csv")
    assert config.data.target == ["a", "b"]
    assert type(config.horizon) is int
    assert type(config.training.learning_rate) is float


def test_a_mapping_is_not_changed() -> None:
    mapping = {**MAPPING, "model": None, "data": dict(MAPPING["data"])}

    config_from_mapping(mapping, overrides=["horizon=3", "model.cell=gru"])

    assert mapping == {**MAPPING, "model": None}


def test_a_problem_of_a_mapping_names_its_key() -> None:
    assert problems_of(lambda: config_from_mapping({**MAPPING, "model": {"cell": "lsmt"}})) == [
        f"model.cell: 'lsmt' is not a known cell ({', '.join(get_args(Cell))}). Did you mean 'lstm'?"
    ]


def test_a_mapping_that_holds_itself_is_refused() -> None:
    mapping: dict[str, Any] = dict(MAPPING)
    mapping["model"] = mapping

    with pytest.raises(ConfigError, match="nested deeper than 50 levels"):
        config_from_mapping(mapping)


def test_what_is_no_mapping_is_refused() -> None:
    with pytest.raises(ConfigError, match="found null; expected a mapping"):
        config_from_mapping(None)  # type: ignore[arg-type]


def test_overrides_change_a_config_and_leave_the_first_as_it_was() -> None:
    config = config_from_mapping(MAPPING)

    changed = with_overrides(config, ["horizon=3", "model.cell=bigru"])

    assert (changed.horizon, changed.model.cell, changed.model.bidirectional) == (3, "gru", True)
    assert (config.horizon, config.model.cell) == (12, "lstm")


def test_a_wrong_override_of_a_config_is_refused() -> None:
    with pytest.raises(ConfigError, match="--set: horizon: found 0; expected a whole number from 1 to 10000"):
        with_overrides(config_from_mapping(MAPPING), ["horizon=0"])


def test_a_dump_holds_every_key(load: Load, tmp_path: Path) -> None:
    (tmp_path / "d.yaml").write_text(dump_config(load(REQUIRED)), encoding="utf-8")

    _, origins = load_config_with_origins(tmp_path / "d.yaml", environ={})

    assert "default" not in origins.values()


def test_a_dump_begins_with_its_header(load: Load) -> None:
    assert dump_config(load(REQUIRED), header="As resolved.").startswith("# As resolved.\ndata:\n  path: ")


# --- whatever comes: a config or a ConfigError

pieces = [
    *"[]{},:#\t'\"|>-?%\\",
    "data:",
    "model:",
    "horizon: 3\n",
    "  time: t\n",
    "\n",
    "&a ",
    "*a",
    "!!x ",
    "---\n",
]
awkward = st.sampled_from(
    ["auto", "NO", "1e-3", "~", "bilstm", "\ud800", "\0", "[1", "*a", "9" * 5000, '"\\UFFFFFFFF"']
)
leaves = st.none() | st.booleans() | st.integers() | st.floats() | st.text() | awkward
anything = st.recursive(
    leaves,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=6,
)
settings_text = st.tuples(st.sampled_from([*CONFIG_KEYS, "model", "x"]), st.text() | awkward).map("=".join)
filesystem = settings(suppress_health_check=[HealthCheck.function_scoped_fixture])


def holds(call: Callable[[], Config]) -> Config | None:
    """The config, or None after checking that the report is made of whole, printable lines."""
    try:
        return call()
    except ConfigError as error:
        lines = str(error).split("\n")
    assert all(line.isprintable() and line.endswith((".", "?")) and len(line) < 1000 for line in lines)
    return None


@filesystem
@given(st.binary() | st.lists(st.sampled_from(pieces)).map("".join).map(str.encode))
def test_any_file_ends_in_a_config_or_a_report(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "c.yaml"
    path.write_bytes(content)

    holds(lambda: load_config(path, environ={}))


def nested(keys: dict[str, Any]) -> dict[str, Any]:
    """Dotted keys as the sections of a mapping, over the required ones."""
    mapping: dict[str, Any] = {**MAPPING, "data": dict(MAPPING["data"])}
    for key, value in keys.items():
        *sections, name = key.split(".")
        inner = mapping
        for section in sections:
            inner = inner.setdefault(section, {})
        inner[name] = value
    return mapping


@filesystem
@given(st.dictionaries(st.sampled_from(list(CONFIG_KEYS)), anything, max_size=3).map(nested))
def test_any_value_of_any_key_ends_in_a_report_or_a_config_that_its_dump_gives_back(
    tmp_path: Path, mapping: dict[str, Any]
) -> None:
    config = holds(lambda: config_from_mapping(mapping))

    if config is not None:
        (tmp_path / "d.yaml").write_text(dump_config(config), encoding="utf-8", newline="")
        assert load_config(tmp_path / "d.yaml", environ={}) == config


@given(st.dictionaries(st.text() | st.sampled_from(["data", "model", "horizon"]), anything, max_size=4))
def test_any_mapping_ends_in_a_config_or_a_report(mapping: dict[str, Any]) -> None:
    holds(lambda: config_from_mapping(mapping))


@filesystem
@given(
    overrides=st.lists(settings_text | st.text(), max_size=3),
    environ=st.dictionaries(st.text().map("TSFORECAST_".__add__), st.text() | awkward, max_size=2),
)
def test_any_override_and_variable_end_in_a_config_or_a_report(
    tmp_path: Path, overrides: list[str], environ: dict[str, str]
) -> None:
    path = tmp_path / "c.yaml"
    path.write_text(REQUIRED, encoding="utf-8")

    holds(lambda: load_config(path, overrides=overrides, environ=environ))
