"""What ``samples.parquet`` and the record keep of outputs and metrics, as the objects that they were."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, TypeAlias

from harness.codec import decode_answer, loads
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


def stored_metric(spec: str, signature: str, language: str) -> Metric:
    """A metric of the run, from all its parameters; one of the user's own is found by what the config says, which names its
    module: its signature does not."""
    return metric_of(spec).for_language(language) if ":" in spec else metric_of(signature.rpartition("#")[0])


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
