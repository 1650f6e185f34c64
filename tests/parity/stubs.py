"""Reference packages whose arithmetic needs no torchvision, imported on machines that do not have it."""

from __future__ import annotations

import importlib
import sys
import types
from importlib.machinery import ModuleSpec
from importlib.util import find_spec
from typing import Any
from unittest.mock import patch

import pytest

_PARTS = ("torchvision", "torchvision.transforms", "torchvision.transforms.functional", "torchvision.datasets",
          "torchvision.models", "torchvision.utils")  # fmt: skip


class _Empty(types.ModuleType):
    """A module that has every class, all of them empty."""

    def __init__(self, name: str) -> None:
        super().__init__(name)
        self.__spec__, self.__path__, self.__version__ = ModuleSpec(name, None), [], "0.0"

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)
        return sys.modules.get(f"{self.__name__}.{name}") or type(name, (), {})


def without_torchvision(module: str) -> Any:
    """The module, with empty classes for torchvision's where that is not installed; skips where the module is not either."""
    if find_spec(module.split(".")[0]) is None:
        pytest.skip(f"{module.split('.')[0]} is not installed")
    if find_spec("torchvision") is not None:
        return importlib.import_module(module)
    with patch.dict(sys.modules):
        sys.modules.update({name: _Empty(name) for name in _PARTS})
        return importlib.import_module(module)
