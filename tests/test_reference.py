"""What is made from the schema and checked in: the reference page and the editors' schema."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from tsforecast.config.jobs import JobsFile
from tsforecast.config.reference import jobs_json_schema, jobs_page, json_schema, reference_page
from tsforecast.config.schema import CONFIG_KEYS, keys_of

REPOSITORY = Path(__file__).parents[1]


def test_the_reference_page_is_the_one_the_schema_gives() -> None:
    page = (REPOSITORY / "docs" / "config.md").read_text(encoding="utf-8")

    assert page == reference_page(), "run: python -m tsforecast.config.reference > docs/config.md"


def test_the_page_of_jobs_files_is_the_one_their_models_give() -> None:
    page = (REPOSITORY / "docs" / "jobs.md").read_text(encoding="utf-8")

    assert page == jobs_page(), "run: python -m tsforecast.config.reference jobs > docs/jobs.md"
    keys = [line.split("`")[1] for line in page.splitlines() if line.startswith("| `")]
    assert sorted(keys) == sorted(keys_of(JobsFile))


def test_the_schema_that_shipped_configs_name_is_the_one_the_package_prints() -> None:
    shipped = (REPOSITORY / "configs" / "schema.json").read_text(encoding="utf-8")

    assert shipped == json_schema(), "run: tsforecast config schema > configs/schema.json"


def test_the_schema_of_jobs_files_that_ships_is_the_one_the_package_prints() -> None:
    shipped = (REPOSITORY / "configs" / "jobs.schema.json").read_text(encoding="utf-8")

    assert shipped == jobs_json_schema(), "run: tsforecast config schema --jobs > configs/jobs.schema.json"


def test_the_reference_page_has_one_row_for_each_key() -> None:
    lines = reference_page().splitlines()

    keys = [line.split("`")[1] for line in lines if line.startswith("| `")]

    assert sorted(keys) == sorted(CONFIG_KEYS)


def test_every_row_of_the_reference_page_has_four_cells() -> None:
    rows = [line for line in reference_page().splitlines() if line.startswith("|")]

    assert {row.replace(r"\|", "").count("|") for row in rows} == {5}


@pytest.mark.parametrize("text", [json_schema(), jobs_json_schema()], ids=["config", "jobs"])
def test_the_json_schema_refuses_unknown_keys_in_every_section(text: str) -> None:
    schema = json.loads(text)

    sections = [schema, *schema["$defs"].values()]

    assert all(section["additionalProperties"] is False for section in sections)


def test_the_json_schema_has_the_bounds_of_the_models() -> None:
    horizon = json.loads(json_schema())["properties"]["horizon"]

    assert (horizon["type"], horizon["minimum"], horizon["maximum"]) == ("integer", 1, 10_000)


def test_the_json_schema_has_the_form_of_an_age_and_of_a_share() -> None:
    """For an editor, which has nothing else to tell a wrong one by."""
    job = json.loads(jobs_json_schema())["$defs"]["JobConfig"]["properties"]
    age, _ = job["max_age"]["anyOf"]
    _, share, _ = job["max_failures"]["anyOf"]

    for text, fits in {"36h": True, "1.5d": True, "2 days": False, "d": False, "36hh": False}.items():
        assert bool(re.search(age["pattern"], text)) == fits
    for text, fits in {"5%": True, "20": True, "5 %": False, "x5%": False, "5%x": False}.items():
        assert bool(re.search(share["pattern"], text)) == fits
