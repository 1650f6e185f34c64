"""The options that several commands share, spelt once."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

Results = Annotated[Path, typer.Option("--results", help="The folder of the runs.", show_default=True)]
Json = Annotated[bool, typer.Option("--json", help="Print JSON and nothing else on stdout.")]
Overrides = Annotated[
    list[str] | None, typer.Option("--set", metavar="KEY=VALUE", help="Override a config value: models.a.dtype=float32. Repeatable.")
]
CacheDir = Annotated[
    Path | None, typer.Option("--cache-dir", help="Where answers, weights and indexes are kept. Default: the user's cache folder.")
]
Config = Annotated[
    Path | None, typer.Argument(help="The run config. Default: the only .yaml in configs/, or configs/run.yaml.", show_default=False)
]
