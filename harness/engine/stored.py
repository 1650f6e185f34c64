"""What ``samples.parquet`` and the record keep of outputs and metrics, as the objects that they were."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, TypeAlias

from harness.codec import decode_answer, loads
from harness.errors import StoreError
from harness.plugins import metric as metric_of
from harness.protocols import Metric
from harness.types import Key, Output, Timing, Usage

Block: TypeAlias = Mapping[str, Sequence[Any]]
"""Rows of ``samples.parquet`` as columns."""

OUTPUT_COLUMNS: tuple[str, ...] = (
    "sample_id", "arm", "repeat", "answer", "error", "finish_reason", "truncated", "input_tokens", "output_tokens", "latency_s",
    "first_token_s",
)  # fmt: skip
"""Those that :func:`stored_outputs` reads."""


def stored_metric(estimate: Mapping[str, Any], language: str) -> Metric:
    """The metric of an estimate of the record, from all its parameters.

    One of the user's own is found by what the config says, which names its module: its signature does not. One with files among
    its parameters is found by the spec that the record keeps, which has their paths. Raises StoreError where these are not what
    they were.
    """
    written, signature = str(estimate["metric"]), str(estimate["signature"])
    if "spec" in estimate:
        found = metric_of(str(estimate["spec"]))
        if _recipe(found.signature()) != _recipe(signature):
            raise StoreError(f"metric {written}: a file of it is gone, or not what it was when the run was scored: "
                             f"{estimate['spec']}")
        return found
    return metric_of(written).for_language(language) if ":" in written else metric_of(_recipe(signature))


def _recipe(signature: str) -> str:
    """A signature without its version."""
    return signature.rpartition("#")[0]


def stored_outputs(block: Block) -> list[Output]:
    """The outputs of the rows of a block."""
    outputs = []
    for i, sample_id in enumerate(block["sample_id"]):
        answer, latency, tokens = block["answer"][i], block["latency_s"][i], block["input_tokens"][i]
        outputs.append(
            Output(
                key=Key(sample_id, block["repeat"][i], block["arm"][i] or ""),
                answer=None if answer is None else decode_answer(loads(answer)),
                error=block["error"][i],
                finish_reason=block["finish_reason"][i],
                truncated=bool(block["truncated"][i]),
                usage=None if tokens is None else Usage(tokens, block["output_tokens"][i] or 0),
                timing=None if latency is None else Timing(latency, block["first_token_s"][i]),
            )
        )
    return outputs
