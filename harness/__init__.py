"""Evaluation of language models and RAG systems that people trust with a ship / don't-ship decision."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from harness import metrics as metrics
    from harness.api import load as load
    from harness.api import run as run
    from harness.api import score as score
    from harness.errors import HarnessError as HarnessError
    from harness.protocols import Backend as Backend
    from harness.protocols import Metric as Metric
    from harness.protocols import Suite as Suite
    from harness.types import Output as Output
    from harness.types import Sample as Sample

__version__ = "0.1.0"

_PUBLIC = {
    "run": "harness.api",
    "score": "harness.api",
    "load": "harness.api",
    "Sample": "harness.types",
    "Output": "harness.types",
    "Metric": "harness.protocols",
    "Backend": "harness.protocols",
    "Suite": "harness.protocols",
    "HarnessError": "harness.errors",
}

__all__ = ["Backend", "HarnessError", "Metric", "Output", "Sample", "Suite", "__version__", "load", "metrics", "run", "score"]


def __getattr__(name: str) -> Any:
    if name == "metrics":
        return importlib.import_module("harness.metrics")
    if name not in _PUBLIC:
        raise AttributeError(f"module 'harness' has no attribute {name!r}")
    return getattr(importlib.import_module(_PUBLIC[name]), name)


def __dir__() -> list[str]:
    return __all__
