"""The measures of drift by name: what each says, in which unit, and of which side."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Literal

from harness.errors import UsageError, did_you_mean


@dataclass(frozen=True, slots=True)
class Measure:
    """One line of what it is; the unit of its value; what it looks at. ``is_distance``: 0 upwards, the runs have no values of
    their own; else the value is the run's minus the base's. ``needs_encoder``: only done on request."""

    line: str
    unit: str
    side: Literal["inputs", "outputs", "service"]
    is_distance: bool = False
    needs_encoder: bool = False


MEASURES: Mapping[str, Measure] = {
    "input_js": Measure("Jensen-Shannon divergence of the words of the prompts", "bits", "inputs", True),
    "input_length": Measure("mean length of the prompts", "words", "inputs"),
    "input_mmd": Measure("squared maximum mean discrepancy of the embedded prompts", "", "inputs", True, True),
    "input_truncation_rate": Measure("share of prompts that lost their beginning", "share", "inputs"),
    "output_js": Measure("Jensen-Shannon divergence of the words of the outputs (of the labels, where they are labels)", "bits",
                         "outputs", True),
    "output_length": Measure("mean length of the outputs", "words", "outputs"),
    "output_length_psi": Measure("population stability index of the outputs' length in words", "nats", "outputs", True),
    "output_mmd": Measure("squared maximum mean discrepancy of the embedded outputs", "", "outputs", True, True),
    "number_psi": Measure("population stability index of the numbers answered", "nats", "outputs", True),
    "refusal_rate": Measure("share of answers that refuse", "share", "outputs"),
    "truncation_rate": Measure("share of outputs that max_tokens cut off", "share", "outputs"),
    "finish_js": Measure("Jensen-Shannon divergence of the finish reasons", "bits", "outputs", True),
    "error_rate": Measure("share of requests that failed", "share", "service"),
    "latency_p50": Measure("median latency", "s", "service"),
    "latency_p95": Measure("95 % quantile of the latency", "s", "service"),
}  # fmt: skip


def chosen(names: Collection[str] | None) -> tuple[str, ...]:
    """The measures of these names, in the order of the table; by default all that need no model.

    Raises UsageError for an unknown name.
    """
    for name in names or ():
        if name not in MEASURES:
            raise UsageError(f"drift: unknown measure {name!r}{did_you_mean(name, MEASURES, at_most=len(MEASURES))}")
    return tuple(name for name, about in MEASURES.items() if (name in names if names is not None else not about.needs_encoder))
