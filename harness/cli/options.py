"""The options that several commands share, spelt once."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Annotated

import typer

Run = Annotated[
    str, typer.Argument(metavar="RUN", help="A run: path, id or its beginning, latest, latest~1, latest:CONFIG, baseline:NAME.")
]
Results = Annotated[Path, typer.Option("--results", help="The folder of the runs.", show_default=True)]
Json = Annotated[bool, typer.Option("--json", help="Print JSON and nothing else on stdout.")]
Overrides = Annotated[
    list[str] | None, typer.Option("--set", metavar="KEY=VALUE", help="Override a value: models.a.dtype=float32. Repeatable.")
]
CacheDir = Annotated[
    Path | None, typer.Option("--cache-dir", help="Keep answers, weights and indexes here. Default: the user's cache folder.")
]
Config = Annotated[
    Path | None, typer.Argument(help="The run config. Default: the only one in configs/, or configs/run.yaml.")
]


def by_commas(given: Iterable[str] | None) -> list[str]:
    """What was given by commas, and more than once."""
    return [word.strip() for text in given or () for word in text.split(",") if word.strip()]
