"""Trees -> ModelConfig, TaskConfig, RunConfig: every plug-in found, checked and built; problems collected on the way."""

from __future__ import annotations

import fnmatch
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pydantic import BaseModel
from pydantic_core import PydanticCustomError

from harness import plugins
from harness.config import Cell, ModelConfig, RunConfig, TaskConfig, slug
from harness.configexplain import Problem, check, got, keys_in, meant
from harness.configmatrix import Axis, read_axes
from harness.configschema import RunDocument, SampleDocument, TaskDocument, build, keys_of, model_of
from harness.configtree import Files, TaskTree, override_run, override_tasks, parse_overrides
from harness.errors import HarnessError, did_you_mean
