"""What a run was made with: versions, platform, commit. Nothing that names a person or a machine."""

from __future__ import annotations

import importlib.metadata
import platform
import subprocess
import sys
from typing import Any

_PACKAGES = ("harness-eval", "numpy", "torch", "transformers", "tokenizers", "sentence-transformers", "faiss-cpu", "bm25s",
             "PyStemmer", "rapidfuzz", "rouge-score", "nltk", "datasets", "pyarrow")  # fmt: skip


def environment() -> dict[str, Any]:
    """``{"python", "platform", "machine", "packages": {name: version}, "git_commit": … | None}``."""
    return {
        "python": platform.python_version(),
        "platform": sys.platform,
        "machine": platform.machine(),
        "packages": dict(_versions()),
        "git_commit": _git_commit(),
    }


def _versions() -> list[tuple[str, str]]:
    found = []
    for name in _PACKAGES:
        try:
            found.append((name, importlib.metadata.version(name)))
        except importlib.metadata.PackageNotFoundError:
            continue
    return found


def _git_commit() -> str | None:
    """The commit of the working directory, with ``+`` if it has changes; None outside git."""
    try:
        head, changed = _git("rev-parse", "HEAD"), _git("status", "--porcelain", "-uno")
    except (OSError, subprocess.SubprocessError):
        return None
    return head + ("+" if changed else "")


def _git(*arguments: str) -> str:
    return subprocess.run(["git", *arguments], capture_output=True, text=True, timeout=5, check=True).stdout.strip()
