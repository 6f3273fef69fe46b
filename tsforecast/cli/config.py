"""``tsforecast config``: what can be set, and what is set."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from tsforecast.cli.console import Set, print_data

__all__ = ["app", "schema", "show"]

MAX_WIDTH = 40  # a longer value does not push the origins of all others aside

app = typer.Typer(
    help="tsforecast config show configs/air_passengers.yaml\n\nShow what is set and what can be set.",
    short_help="Show what is set and what can be set.",
    rich_markup_mode=None,
    no_args_is_help=True,
)


@app.command(short_help="Print the JSON Schema of the YAML.")
def schema(
    jobs: Annotated[bool, typer.Option("--jobs", help="That of a jobs file, as batch takes it.")] = False,
) -> None:
    """tsforecast config schema > schema.json

    Prints the JSON Schema of the YAML; an editor that knows it completes and checks keys.
    """
    from tsforecast.config.reference import jobs_json_schema, json_schema

    print_data(jobs_json_schema() if jobs else json_schema())


@app.command(short_help="Print every key with its value and origin.")
def show(
    config: Annotated[Path, typer.Argument(help="The YAML file.", show_default=False)],
    settings: Set = None,
    as_json: Annotated[
        bool, typer.Option("--json", help="Print one JSON document: value and origin by key.")
    ] = False,
) -> None:
    """tsforecast config show configs/air_passengers.yaml --set training.max_steps=50

    Prints every key with its value and its origin: default, file and line, environment variable, or --set.
    """
    import json

    from tsforecast.config.load import load_config_with_origins, value_at

    loaded, origins = load_config_with_origins(config, overrides=settings or ())
    rows = {key: {"value": value_at(loaded, key), "origin": origin} for key, origin in origins.items()}
    print_data((json.dumps(rows, indent=2) if as_json else _table(rows)) + "\n")


def _table(rows: dict[str, dict[str, object]]) -> str:
    from tsforecast.config.document import value_text

    texts = {key: value_text(row["value"]) for key, row in rows.items()}
    key_width = max(map(len, texts))
    value_width = min(max(map(len, texts.values())), MAX_WIDTH)
    return "\n".join(
        f"{key:<{key_width}} = {text:<{value_width}}   # {rows[key]['origin']}" for key, text in texts.items()
    )
