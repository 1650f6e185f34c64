"""Evaluation of language models and RAG systems that people trust with a ship / don't-ship decision."""

from __future__ import annotations

import importlib
import sys
from types import ModuleType
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from harness import metrics as metrics
    from harness.api import compare as compare
    from harness.api import gate as gate
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
    "compare": "harness.api",
    "gate": "harness.api",
    "Sample": "harness.types",
    "Output": "harness.types",
    "Metric": "harness.protocols",
    "Backend": "harness.protocols",
    "Suite": "harness.protocols",
    "HarnessError": "harness.errors",
}

__all__ = ["Backend", "HarnessError", "Metric", "Output", "Sample", "Suite", "__version__", "compare", "gate", "load",
           "metrics", "run", "score"]  # fmt: skip


def __getattr__(name: str) -> Any:
    if name == "metrics":
        return importlib.import_module("harness.metrics")
    if name not in _PUBLIC:
        raise AttributeError(f"module 'harness' has no attribute {name!r}")
    return getattr(importlib.import_module(_PUBLIC[name]), name)


def __dir__() -> list[str]:
    return __all__


class _Called(ModuleType):
    """A package that has the name of a function, ``harness.gate``: called, it is the function."""

    def __call__(self, *args: Any, **options: Any) -> Any:
        return getattr(importlib.import_module("harness.api"), self.__name__.rpartition(".")[2])(*args, **options)


class _Package(ModuleType):
    """This package. Importing a submodule puts it here under its name, where a function of that name may be looked for."""

    def __setattr__(self, name: str, value: Any) -> None:
        if name in _PUBLIC and isinstance(value, ModuleType):
            value.__class__ = _Called
        super().__setattr__(name, value)


sys.modules[__name__].__class__ = _Package
