"""``harness schema``: the JSON Schema of task and run files, with the plug-ins that are installed."""

from __future__ import annotations

import sys
from enum import StrEnum
from typing import Annotated

import typer

from harness.config import json_schema
from harness.store import pretty


class Kind(StrEnum):
    """The two kinds of file."""

    task = "task"
    run = "run"


def command(
    kind: Annotated[Kind, typer.Argument(help="The kind of file.")],
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON, which it always does.")] = False,
) -> int:
    """Print the JSON Schema of task or run files; editors check and complete YAML with it."""
    sys.stdout.write(pretty(json_schema(kind.value)).decode())
    return 0
