"""The reference of all config keys as a page and as JSON Schema, both made from the schema.

``python -m tsforecast.config.reference > docs/config.md`` writes the page anew.
"""

from __future__ import annotations

import inspect
import json
import sys
from collections.abc import Iterator

from pydantic import BaseModel
from pydantic.fields import FieldInfo

from tsforecast.config.document import value_text
from tsforecast.config.schema import Config, config_json_schema, section_of
from tsforecast.config.words import allowed, shape_of

__all__ = ["json_schema", "reference_page"]

_INTRODUCTION = """\
# Config reference

<!-- Made from tsforecast/config/schema.py by `python -m tsforecast.config.reference > docs/config.md`. -->

Only `data.path`, `data.time`, `data.target` and `horizon` have to be given. `auto` is resolved once, from the
part of the data that may be learned from, and the resolved value is written to the run folder.

A value comes from the command line (`--set training.max_steps=50`), else from the environment
(`TSFORECAST_TRAINING__MAX_STEPS=50`, two underscores between levels), else from the YAML, else from here.
`tsforecast config show FILE` lists every value with its origin. Unknown keys are refused.

The YAML follows version 1.2: `1e-3` is a number, only `true` and `false` are booleans, and `NO` is text.
A column whose name looks like a number, or holds `: ` or ` #`, is written in quotes. Aliases, tags and
duplicate keys are refused. Relative paths start from the folder of the YAML file.
"""


def reference_page() -> str:
    """The page docs/config.md as Markdown: a table for each section."""
    return "\n".join([_INTRODUCTION, *_sections(Config, "", "Top level")])


def json_schema() -> str:
    """The JSON Schema of the YAML, for editors."""
    schema = {"$schema": "https://json-schema.org/draft/2020-12/schema", **config_json_schema()}
    return json.dumps(schema, indent=2) + "\n"


def _sections(model: type[BaseModel], key: str, title: str) -> Iterator[str]:
    values = {name: field for name, field in model.model_fields.items() if section_of(field) is None}
    yield f"## {title}\n\n{inspect.getdoc(model)}\n"
    yield "| key | value | default | meaning |"
    yield "|---|---|---|---|"
    for name, field in values.items():
        yield _row(key + name, field)
    yield ""
    for name, field in model.model_fields.items():
        if section := section_of(field):
            yield from _sections(section, f"{key}{name}.", f"`{key}{name}`")


def _row(key: str, field: FieldInfo) -> str:
    default = "required" if field.is_required() else _code(value_text(field.get_default()))
    cells = [_code(key), allowed(shape_of(key), quote=_code), default, str(field.description)]
    return "| " + " | ".join(cell.replace("|", r"\|") for cell in cells) + " |"


def _code(text: str) -> str:
    return f"`{text}`"


if __name__ == "__main__":
    sys.stdout.write(reference_page())
