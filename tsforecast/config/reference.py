"""The reference of all keys as a page and as JSON Schema, both made from the schema.

``python -m tsforecast.config.reference > docs/config.md`` writes the page of the config anew, and with ``jobs`` behind
it that of a jobs file, docs/jobs.md.
"""

from __future__ import annotations

import inspect
import json
import sys
from collections.abc import Iterator

from pydantic import BaseModel
from pydantic.fields import FieldInfo

from tsforecast.config.document import value_text
from tsforecast.config.jobs import JobsFile
from tsforecast.config.schema import Config, entries_of, json_schema_of, section_of
from tsforecast.config.words import allowed, shape_of

__all__ = ["jobs_json_schema", "jobs_page", "json_schema", "reference_page"]

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


_JOBS_INTRODUCTION = """\
# Jobs file reference

<!-- Made from tsforecast/config/jobs.py by `python -m tsforecast.config.reference jobs > docs/jobs.md`. -->

What `tsforecast batch JOBS.yaml` does, one job after the other. `docs/cron.md` leads from nothing to a nightly run.

The YAML is read as a config is: unknown keys are refused, and relative paths start from the folder of the file.
Ages are numbers with `m`, `h`, `d` or `w`, such as `36h` or `2d`.

An editor completes and checks the keys where it finds their JSON Schema: `tsforecast config schema --jobs >
jobs.schema.json` writes it, and `# yaml-language-server: $schema=jobs.schema.json` at the top of the file names it.
"""


def reference_page() -> str:
    """The page docs/config.md as Markdown: a table for each section."""
    return "\n".join([_INTRODUCTION, *_sections(Config, Config, "", "Top level")])


def jobs_page() -> str:
    """The page docs/jobs.md as Markdown: a table for each section."""
    return "\n".join([_JOBS_INTRODUCTION, *_sections(JobsFile, JobsFile, "", "Top level")])


def json_schema() -> str:
    """The JSON Schema of a config, for editors."""
    return _schema_text(Config)


def jobs_json_schema() -> str:
    """The JSON Schema of a jobs file, for editors."""
    return _schema_text(JobsFile)


def _schema_text(root: type[BaseModel]) -> str:
    schema = {"$schema": "https://json-schema.org/draft/2020-12/schema", **json_schema_of(root)}
    return json.dumps(schema, indent=2) + "\n"


def _sections(root: type[BaseModel], model: type[BaseModel], key: str, title: str) -> Iterator[str]:
    fields = model.model_fields.items()
    values = {name: field for name, field in fields if not (section_of(field) or entries_of(field))}
    yield f"## {title}\n\n{inspect.getdoc(model)}\n"
    yield "| key | value | default | meaning |"
    yield "|---|---|---|---|"
    for name, field in values.items():
        yield _row(root, key + name, field)
    yield ""
    for name, field in model.model_fields.items():
        if section := section_of(field) or entries_of(field):
            title = f"`{key}{name}`" + (", a list of" if entries_of(field) else "")
            yield from _sections(root, section, f"{key}{name}.", title)


def _row(root: type[BaseModel], key: str, field: FieldInfo) -> str:
    default = "required" if field.is_required() else _code(value_text(field.get_default()))
    cells = [_code(key), allowed(shape_of(key, root), quote=_code), default, str(field.description)]
    return "| " + " | ".join(cell.replace("|", r"\|") for cell in cells) + " |"


def _code(text: str) -> str:
    return f"`{text}`"


if __name__ == "__main__":
    sys.stdout.write(jobs_page() if sys.argv[1:] == ["jobs"] else reference_page())
