"""The Python face of the harness. The commands call these functions and nothing else."""

import importlib
from typing import TYPE_CHECKING, Any

from harness.api.runs import (
    Checked,
    MeasuredNoise,
    Run,
    cache_folder,
    check,
    forecast,
    load,
    noise,
    rescore,
    run,
)
from harness.engine.forecast import Forecast
from harness.engine.score import Reading, ScoreResult, score

if TYPE_CHECKING:
    from harness.api.comparing import (
        NamedBaseline,
        baseline,
        baselines,
        compare,
        drift,
        drift_folders,
        gate,
        gate_with_policy,
        history,
        remove_baseline,
        set_baseline,
    )

__all__ = [
    "Checked",
    "Forecast",
    "MeasuredNoise",
    "NamedBaseline",
    "Reading",
    "Run",
    "ScoreResult",
    "baseline",
    "baselines",
    "cache_folder",
    "check",
    "compare",
    "drift",
    "drift_folders",
    "forecast",
    "gate",
    "gate_with_policy",
    "history",
    "load",
    "noise",
    "remove_baseline",
    "rescore",
    "run",
    "score",
    "set_baseline",
]


def __getattr__(name: str) -> Any:
    """What compares is imported when it is asked for: a run does without."""
    if name not in __all__:
        raise AttributeError(f"module 'harness.api' has no attribute {name!r}")
    return getattr(importlib.import_module("harness.api.comparing"), name)
