"""URLs of data.path: what kind they are, and how they are said without what is secret."""

from __future__ import annotations

from pathlib import Path

import pytest

from tsforecast.config.load import config_from_mapping, dump_config, load_config, value_at, with_overrides
from tsforecast.config.location import kind_of, resolved, with_file_below, without_secrets
from tsforecast.config.schema import Config
from tsforecast.errors import ConfigError

URL = "postgresql+psycopg://reader:s3cret@db.example/sales"


def config(path: str = URL, **data: object) -> Config:
    section = {"path": path, "time": "ds", "target": "y", "query": "SELECT 1"} | data
    return config_from_mapping({"data": section, "horizon": 2})


@pytest.mark.parametrize(
    ("path", "kind"),
    [
        ("-", "stdin"),
        ("sales.csv", "files"),
        ("sales/*.csv", "files"),
        ("postgresql+psycopg://h/db", "database"),
        ("SQLite:///a.db", "database"),
        ("s3://bucket/a.csv", "remote"),
    ],
)
def test_a_path_is_of_one_kind(path: str, kind: str) -> None:
    assert kind_of(path) == kind


@pytest.mark.parametrize(
    "path",
    [
        "file:///etc/passwd",
        "local:///etc/passwd",
        "zip://a.csv::file:///a.zip",
        "https://h/a.csv::file:///etc/passwd",
        "reference://",
    ],
)
def test_a_url_that_could_lead_to_a_local_file_is_no_remote_file(path: str) -> None:
    with pytest.raises(ValueError, match="is not of a kind that is read"):
        kind_of(path)


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("postgresql://u:p@h/db", "postgresql://u:***@h/db"),
        ("postgresql://u:p@ss@h:5/db?sslmode=require", "postgresql://u:***@h:5/db?sslmode=require"),
        ("postgresql://u:p/w?d#x@h/db", "postgresql://u:***@h/db"),
        ("postgresql://u:p w@h/db", "postgresql://u:***@h/db"),
        ("postgresql://u@/db?host=/tmp&password=p", "postgresql://u@/db?host=/tmp&password=***"),
        ("postgresql://u:x${PW}@h/db", "postgresql://u:***@h/db"),
        ("postgresql:/u:p@h/db", "postgresql:/u:***@h/db"),
        ("mssql+pyodbc:///?odbc_connect=PWD%3Dp", "mssql+pyodbc:///?odbc_connect=***"),
        ("s3://key:sec/ret@bucket/a.csv", "s3://key:***@bucket/a.csv"),
        ("https://token@h/a.csv", "https://***@h/a.csv"),
        ("https://u:p@h/a.csv", "https://***:***@h/a.csv"),
        ("https://u:p?w@h/a.csv", "https://***:***@h/a.csv"),
        ("https://h/a.csv?X-Amz-Signature=p&n=5", "https://h/a.csv?X-Amz-Signature=***&n=5"),
        ("https://h/a.csv?sv=2024-01-01&sig=p", "https://h/a.csv?sv=2024-01-01&sig=***"),
        ("https://h/a.csv?q=abcdefghijklmnop12345", "https://h/a.csv?q=***"),
        ("https://h/a.csv#access_token=p", "https://h/a.csv#access_token=***"),
        ("cannot open 'postgresql://u:p@h/db', sir", "cannot open 'postgresql://u:***@h/db', sir"),
    ],
)
def test_secrets_of_a_url_are_left_out_and_stay_so(url: str, shown: str) -> None:
    assert without_secrets(url) == shown
    assert without_secrets(shown) == shown


@pytest.mark.parametrize(
    "url",
    [
        "postgresql://u:${PW}@${HOST}:${PORT}/db?sslkey=/etc/key.pem",
        "postgresql://h:5432/db",
        "sqlite:////data/a:b@c.db",
        "s3://bucket/a.csv",
        "sftp://me@host/a.csv",
        "https://${TOKEN}@h:80/a@b.csv?token=${T}&format=csv&from=2024-01-01T00%3A00%3A00Z",
        "https://[::1]:80/a@b.csv",
        "data/a.csv",
        "see https://example.org/page?x=1.",
    ],
)
def test_what_is_no_secret_is_kept(url: str) -> None:
    assert without_secrets(url) == url


def test_references_are_filled_in_from_the_environment_whatever_letters_they_hold() -> None:
    url = "postgresql://u:${PW}@${HOST}/db?password=${PW}"
    location = resolved(url, environ={"PW": "p@s/s", "HOST": "h.example"})

    assert location.url == "postgresql://u:p%40s%2Fs@h.example/db?password=p%40s%2Fs"


def test_whole_parameters_may_be_a_reference() -> None:
    location = resolved("https://h/a.csv?${SAS}", environ={"SAS": "sv=1&sig=x%3D"})

    assert location.url == "https://h/a.csv?sv=1&sig=x%3D"


def test_messages_of_others_are_scrubbed_of_every_form_of_a_secret() -> None:
    location = resolved("https://h/${KEY}/a.csv?token=lit%2Feral", environ={"KEY": "k/ey"})

    scrubbed = location.scrubbed("404 at https://h/k/ey/a.csv: k%2Fey, lit/eral, lit%2Feral")

    assert scrubbed == "404 at https://h/${KEY}/a.csv: ${KEY}, ***, ***"


def test_a_variable_that_is_not_set_is_named() -> None:
    with pytest.raises(ValueError, match="the environment variable 'PW' is not set"):
        resolved("postgresql://u:${PW}@h/db", environ={})


def test_a_secret_that_was_left_out_is_asked_for() -> None:
    with pytest.raises(ValueError, match=r"a secret was left out where \*\*\* stands; write \$\{NAME\}"):
        resolved("postgresql://u:***@h/db", environ={})


@pytest.mark.parametrize(
    ("path", "absolute"),
    [
        ("sqlite:///a.db?x=1", "sqlite:////x/a.db?x=1"),
        ("sqlite:///../a.db", "sqlite:////a.db"),
        ("sqlite:////b/a.db", "sqlite:////b/a.db"),
        ("sqlite:///${DIR}/a.db", "sqlite:///${DIR}/a.db"),
        ("sqlite:///:memory:", "sqlite:///:memory:"),
        ("sqlite://", "sqlite://"),
        ("postgresql:///sales", "postgresql:///sales"),
    ],
)
def test_a_database_that_is_a_file_starts_from_the_folder_of_the_config(path: str, absolute: str) -> None:
    assert with_file_below(path, Path("/x")) == absolute


def test_a_pattern_starts_from_the_folder_of_the_config_whose_name_is_none(tmp_path: Path) -> None:
    folder = tmp_path / "a[b]"
    folder.mkdir()
    (folder / "c.yaml").write_text("data: {path: 'd/*.csv', time: t, target: y}\nhorizon: 2\n")

    assert load_config(folder / "c.yaml", environ={}).data.path == f"{tmp_path}/a[[]b]/d/*.csv"


def test_nothing_that_shows_or_stores_a_config_has_its_secrets() -> None:
    loaded = config()
    shown = [repr(loaded), str(loaded), dump_config(loaded), str(value_at(loaded, "data.path"))]
    shown += [loaded.model_dump_json(), repr(loaded.data)]

    assert loaded.data.path == URL
    assert not [text for text in shown if "s3cret" in text or "reader:***@db.example" not in text]


def test_overrides_leave_the_secrets_in_memory_as_they_are() -> None:
    assert with_overrides(config(), ["horizon=3"]).data.path == URL


def test_references_are_stored_as_they_are() -> None:
    path = "postgresql://u:${PW}@h/db"

    assert f"path: {path}\n" in dump_config(config(path))


@pytest.mark.parametrize(
    "overrides",
    [
        ["data.path=postgresql+psycopg://reader:s3cret@db.example/sales", "data.query="],
        ["data.path postgresql+psycopg://reader:s3cret@db.example/sales"],
        ["postgresql://reader:s3cret@db.example/sales=1"],
        ["data.path=foo://reader:s3cret@db.example/sales"],
        ["horizon=postgresql://reader:s3cret@db.example/sales"],
        ["data.path=[postgresql://reader:s3cret@db.example/sales]"],
        ["data.path='postgresql://reader:s3cret@db.example/sales"],
    ],
)
def test_no_message_about_a_config_has_its_secrets(overrides: list[str]) -> None:
    with pytest.raises(ConfigError) as caught:
        with_overrides(config(), overrides)

    assert "s3cret" not in str(caught.value)


def test_a_database_needs_a_query() -> None:
    with pytest.raises(ConfigError, match="names a database, and there is no query; add query: SELECT"):
        config(query=None)


def test_a_query_needs_a_database() -> None:
    with pytest.raises(ConfigError, match="query is given, and path names no database"):
        config("sales.csv")


def test_a_file_url_is_refused_with_the_way_out() -> None:
    with pytest.raises(ConfigError, match="write the path of a file as it is"):
        config("file:///data/a.csv")
