"""``harness init``: a commented config, a task and a few rows of data to edit; the result runs at once on the core install."""

from __future__ import annotations

import shlex
import shutil
from pathlib import Path
from typing import Annotated

import typer

from harness.cli.options import Json
from harness.cli.output import print_json
from harness.errors import UsageError, did_you_mean

STARTERS = Path(__file__).parent / "starters"


def starters() -> list[str]:
    """The kinds there are."""
    return sorted(folder.name for folder in STARTERS.iterdir() if folder.is_dir())


def write_starter(kind: str, folder: Path) -> list[Path]:
    """Copy a starter into a folder; the files written, relative to it.

    Raises UsageError for an unknown kind, where nothing can be written, and, before anything is, where a file is there already.
    """
    if kind not in starters():
        raise UsageError(f"init: unknown kind {kind!r}{did_you_mean(kind, starters())}")
    source = STARTERS / kind
    files = sorted(path.relative_to(source) for path in source.rglob("*") if path.is_file())
    present = [path.as_posix() for path in files if (folder / path).exists()]
    if present:
        are, them = ("is", "it") if len(present) == 1 else ("are", "them")
        already = f"{', '.join(present)} {are} there already"
        raise UsageError(f"init: {already}; nothing was written (remove {them} or use another folder)")
    try:
        for path in files:
            (folder / path).parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(source / path, folder / path)
    except OSError as error:
        raise UsageError(f"init: cannot write to {folder}: {error.strerror or error}") from error
    return files


def command(
    kind: Annotated[str, typer.Argument(help="app, generation, classification, retrieval or nightly")] = "generation",
    folder: Annotated[Path, typer.Option("--dir", help="where to write")] = Path(),
    as_json: Json = False,
) -> None:
    """Write a commented config and a task to edit; they run as they are, in seconds, without torch."""
    files = [(folder / path).as_posix() for path in write_starter(kind, folder)]
    where = "" if folder == Path() else f"cd {shlex.quote(folder.as_posix())} && "
    following = f"{where}harness run configs/{kind}.yaml"
    if as_json:
        print_json({"kind": kind, "files": files, "next": following})
        return
    for file in files:
        typer.echo(f"wrote {file}")
    typer.echo(f"next: {following}")
