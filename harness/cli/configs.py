"""The config that is meant where none is named."""

from __future__ import annotations

from pathlib import Path

from harness.errors import UsageError

FOLDER = Path("configs")


def config_or_default(given: Path | None, command: str) -> Path:
    """The path given, or the only ``.yaml`` in ``configs/``, or ``configs/run.yaml``.

    Raises UsageError that lists what there is to choose from.
    """
    if given is not None:
        return given
    found = sorted(path for pattern in ("*.yaml", "*.yml") for path in FOLDER.glob(pattern))
    named = [path for path in found if path.stem == "run"]
    if len(found) == 1 or len(named) == 1:
        return (named or found)[0]
    if not found:
        raise UsageError(f"{command}: there is no config in {FOLDER}/: name one, or write one with harness init")
    names = ", ".join(path.name for path in found)
    raise UsageError(f"{command}: which config? {FOLDER}/ has {names}: {command} {found[0].as_posix()}")
