"""``results/noise.json``: how much a metric varies from one run of a config to the next when nothing has changed.

Schema history: 1 (0.1.0) the first.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeAlias

from harness.errors import StoreError
from harness.store.files import damaged, locked, pretty, read_shared, write_atomically

NOISE = "noise.json"
_SCHEMA = 1


@dataclass(frozen=True, slots=True)
class RunNoise:
    """What repeated runs say of one metric of one entry on one task.

    ``variance``: what the runs vary by beyond what their samples explain, in the metric's scale squared, with its degrees of
    freedom ``dof``. ``sd``: the standard deviation of the runs' ``values``, each over ``n`` samples.
    """

    variance: float
    dof: float
    sd: float
    n: int
    values: tuple[float, ...] = ()

    def __post_init__(self) -> None:
        for name, smallest in (("variance", 0.0), ("dof", math.ulp(0.0)), ("sd", 0.0), ("n", 0)):
            value = getattr(self, name)
            if not _is_number(value) or value < smallest:
                at_least = "above 0" if name == "dof" else "of at least 0"
                raise StoreError(f"noise: {name} must be a number {at_least}, got {value!r}")
        if not all(map(_is_number, self.values)):
            raise StoreError(f"noise: values must be numbers, got {self.values!r}")


Noise: TypeAlias = Mapping[str, Mapping[str, Mapping[str, RunNoise]]]
"""entry -> task -> metric -> what was measured."""


def write_noise(results: Path, config_name: str, runs: Sequence[str], noise: Noise) -> None:
    """Put down what these runs (ids) say of a config, in place of what was known. Raises StoreError for a damaged file."""
    path = results / NOISE
    found = {entry: {task: {metric: dataclasses.asdict(value) for metric, value in metrics.items()}
                     for task, metrics in tasks.items()} for entry, tasks in noise.items()}  # fmt: skip
    with locked(path):
        there = _read(path)
        there[config_name] = {"runs": list(runs), "noise": found}
        write_atomically(path, pretty({"schema": _SCHEMA, "configs": there}))


def read_noise(results: Path, config_name: str) -> Noise:
    """What was measured of a config; empty where nothing was. Raises StoreError where the file is damaged."""
    path = results / NOISE
    found = _read(path).get(config_name)
    if found is None:
        return {}
    try:
        return {entry: {task: {metric: _noise(value) for metric, value in metrics.items()} for task, metrics in tasks.items()}
                for entry, tasks in found["noise"].items()}  # fmt: skip
    except (AttributeError, KeyError, TypeError) as error:
        raise damaged(path, f"what it says of {config_name!r} is not entry, task, metric, noise") from error
    except StoreError as error:
        raise damaged(path, f"{config_name!r}: {error}") from error


def noise_of(noise: Noise, entry: str, task: str, metric: str) -> RunNoise | None:
    """What was measured of one metric; None where nothing was."""
    return noise.get(entry, {}).get(task, {}).get(metric)


def _read(path: Path) -> dict[str, Any]:
    document = read_shared(path, _SCHEMA)
    configs = {} if document is None else document.get("configs")
    if not isinstance(configs, dict):
        raise damaged(path, "configs must be an object")
    return configs


def _noise(value: Mapping[str, Any]) -> RunNoise:
    known = {field.name: value[field.name] for field in dataclasses.fields(RunNoise) if field.name in value}
    return RunNoise(**{**known, "values": tuple(known.get("values", ()))})


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)
