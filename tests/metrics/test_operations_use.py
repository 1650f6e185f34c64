"""Tokens, speed, money, errors, refusals, sizes: hand-worked values and the words of real errors."""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from harness.errors import MetricError
from harness.metrics.operations import time_to_first_token
from harness.metrics.outcomes import error_rate, refusal_rate, timeout_rate, truncation_rate
from harness.metrics.systemcost import ModelSize, flops_per_token, model_size, peak_memory
from harness.metrics.throughput import samples_per_second, token_cost, tokens, tokens_per_second
from harness.plugins import metric
from harness.stats.estimate import estimate
from harness.types import Key, Number, Output, Sample, Scores, Text, Timing, Usage


def output(text: str = "", **fields: Any) -> Output:
    return Output(Key("x"), None if fields.get("error") else Text(text), **fields)


def scores(spec: str, outputs: Sequence[Output]) -> Scores:
    return metric(spec).score([Sample(str(i)) for i in range(len(outputs))], outputs)


def value(spec: str, outputs: Sequence[Output]) -> float:
    found = scores(spec, outputs)
    there = [row for row in range(len(outputs)) if row not in found.missing]
    return float(metric(spec).aggregate(found.stats[there], np.ones((1, len(there))))[0])


NO_USAGE, NO_TIMING = "the output does not say how many tokens it took", "the output has no timing"
USED = [output(usage=Usage(100, 10), timing=Timing(0.5, 0.1)), output(usage=Usage(300, 30), timing=Timing(1.5, 0.3)), output()]


@pytest.mark.parametrize(("spec", "expected", "reason"), [
    ("tokens", 220, NO_USAGE),
    ("tokens_in", 200, NO_USAGE),
    ("tokens_out", 20, NO_USAGE),
    ("tokens_per_second", 20, NO_USAGE),
    ("tokens_per_second(side=input)", 200, NO_USAGE),
    ("tokens_per_second(side=total)", 220, NO_USAGE),
    ("samples_per_second", 1, NO_TIMING),
    ("time_to_first_token", 0.2, "the time of the first token is not known"),
    ("time_to_first_token_p90", 0.28, "the time of the first token is not known"),
    ("token_cost(input_price=2, output_price=8)", (400 * 2 + 40 * 8) / 1e6 / 2, NO_USAGE),
])
def test_what_outputs_use(spec: str, expected: float, reason: str) -> None:
    assert value(spec, USED) == pytest.approx(expected, rel=1e-12)
    assert scores(spec, USED).missing == {2: reason}
    assert math.isnan(value(spec, []))


def test_sums_are_in_the_tables() -> None:
    assert metric("tokens_in").tables(scores("tokens_in", USED[:2]).stats)["tokens"].rows == ((2, 400.0),)
    spec = "token_cost(input_price=2, output_price=8)"
    assert metric(spec).tables(scores(spec, USED[:2]).stats)["cost"].rows == ((2, pytest.approx(0.00112)),)
    assert metric(spec).spec == "token_cost(input_price=2,output_price=8)"


def test_no_time_at_all_is_undefined() -> None:
    instant = [output(usage=Usage(1, 1), timing=Timing(0.0))]
    assert math.isnan(value("tokens_per_second", instant))
    assert math.isnan(value("samples_per_second", instant))
    assert scores("tokens_per_second", [output(usage=Usage(1, 1))]).missing == {0: "the output has no timing"}


ENDS = [
    output("a", finish_reason="stop"),
    output("b", finish_reason="length", truncated=True),
    output(error="TimeoutError: no answer after 60 s", finish_reason="error"),
    output(error="HTTP 500: internal error", finish_reason="error"),
]


def test_errors_are_scored_where_they_are_what_is_counted() -> None:
    assert value("error_rate", ENDS) == 0.5
    assert value("timeout_rate", ENDS) == 0.25
    assert metric("error_rate").sees_errors
    assert metric("timeout_rate").sees_errors
    assert not metric("truncation_rate").sees_errors
    assert not metric("refusal_rate").sees_errors
    found = scores("error_rate", ENDS)
    m = metric("error_rate")
    rng = np.random.default_rng(0)
    result = estimate(found.stats, m.aggregate, finish=m.finish, method=m.interval, bounds=m.bounds, rng=rng)
    # Wilson's interval of 2 in 4.
    assert (result.method, result.low) == ("wilson", pytest.approx(0.150036, abs=1e-5))
    assert result.high == pytest.approx(0.849964, abs=1e-5)


@pytest.mark.parametrize(("error", "is_timeout"), [
    ("httpx.ReadTimeout: The read operation timed out", True),
    ("TimeoutError", True),
    ("504 Gateway Time-out", True),
    ("HTTP 408", True),
    ("DEADLINE EXCEEDED: Deadline Exceeded", True),
    ("request time out", True),
    ("ConnectError: [Errno 111] Connection refused", False),
    ("HTTP 429: rate limit", False),
    ("ValueError: 15040 tokens are too many at one time", False),
])
def test_timeouts_are_told_by_their_words(error: str, is_timeout: bool) -> None:
    assert value("timeout_rate", [output(error=error)]) == is_timeout


def test_truncation() -> None:
    assert value("truncation_rate", [*ENDS[:2], ENDS[0]]) == pytest.approx(1 / 3)
    assert value("truncation_rate(side=input)", [*ENDS[:2], output("c")]) == pytest.approx(1 / 3)
    assert scores("truncation_rate", [output("c")]).missing == {0: "the output has no finish reason"}
    worst, best = metric("truncation_rate").extremes(Sample("1")) or (None, None)
    assert worst is not None
    assert best is not None
    assert (worst.tolist(), best.tolist()) == ([1, 1], [0, 1])


@pytest.mark.parametrize(("text", "refuses"), [
    ("I'm sorry, but I can't help with that.", True),
    ("I\u2019m sorry, I cannot assist with that request.", True),
    ("As an AI language model, I have no opinion.", True),
    ("I don't know.", True),
    ("I am unable to find that.", True),
    ("We are unable to provide this.", True),
    ("The context does not contain the answer.", True),
    ("This cannot be answered from the passage.", True),
    ("Paris is the capital of France.", False),
    ("I can help you with that: it is 4.", False),
    ("Birds cannot provide milk.", False),
    ("I knew it cannot fail.", False),
    ("", False),
    ("x " * 150 + "I'm sorry, but I can't help with that.", False),
])
def test_refusals(text: str, refuses: bool) -> None:
    assert refusal_rate([text]) == refuses
    assert value("refusal_rate", [output(text)]) == refuses


def test_a_pattern_of_ones_own() -> None:
    assert refusal_rate(["Nein danke", "NEIN", "ja"], pattern=r"\bnein\b") == pytest.approx(2 / 3)
    assert math.isnan(refusal_rate([]))
    assert scores("refusal_rate", [Output(Key("x"), Number(1))]).missing == {0: "the answer is Number, not Text"}
    with pytest.raises(MetricError, match=r"^refusal_rate: pattern must be a regular expression, got '\('$"):
        metric('refusal_rate(pattern="(")')
    assert metric(metric('refusal_rate(pattern="no|nein")').spec) == metric('refusal_rate(pattern="no|nein")')


@pytest.mark.parametrize(("spec", "message"), [
    ("tokens(side=both)", "tokens: side must be one of input, output, total, got 'both'"),
    ("token_cost(input_price=-1, output_price=1)", "token_cost: input_price must be a finite number ≥ 0, got -1.0"),
    ("token_cost(input_price=1)", r"token_cost\(input_price=1\): token_cost needs output_price"),
    ("truncation_rate(side=both)", "truncation_rate: side must be one of output, input, got 'both'"),
    ("time_to_first_token(q=2)", "time_to_first_token: q must be between 0 and 1, got 2.0"),
])
def test_parameters(spec: str, message: str) -> None:
    with pytest.raises(MetricError, match=f"^{message}$"):
        metric(spec)


def test_functions_over_lists() -> None:
    assert tokens_per_second([5, 10], [1, 2]) == 5
    assert math.isnan(tokens_per_second([], []))
    assert math.isnan(samples_per_second([]))
    assert tokens([1, 2], [3, 8], side="output") == 5.5
    assert math.isnan(tokens([], []))
    assert time_to_first_token([0.1, 0.2, 0.4], q=1) == 0.4
    assert error_rate(["x", None]) == 0.5
    assert timeout_rate(["x", None, "timed out", "timeout"]) == 0.5
    assert truncation_rate(["length", "stop", "error"]) == pytest.approx(1 / 3)
    assert all(math.isnan(f([])) for f in (error_rate, timeout_rate, truncation_rate))
    assert math.isnan(token_cost([], [], input_price=1, output_price=1))
    assert token_cost([10**6], [2 * 10**6], input_price=0.5, output_price=1.5) == 3.5
    with pytest.raises(MetricError, match=r"^tokens_per_second: the lists must have the same length, got 1 and 2$"):
        tokens_per_second([1], [1, 2])
    with pytest.raises(MetricError, match=r"^samples_per_second: values must be finite and ≥ 0, got -1$"):
        samples_per_second([-1])


# ── sizes ──


@pytest.mark.slow
def test_flops_of_gpt_3_and_by_torchs_counter() -> None:
    # Brown et al. 2020, appendix D: 3.14e23 operations to train 174.6 billion parameters on 300 billion tokens.
    assert 3 * flops_per_token(174_600_000_000) * 300e9 == pytest.approx(3.14e23, rel=0.002)
    torch = pytest.importorskip("torch")
    transformers = pytest.importorskip("transformers")
    from torch.utils.flop_counter import FlopCounterMode

    config = transformers.LlamaConfig(vocab_size=97, hidden_size=32, intermediate_size=80, num_hidden_layers=3,
                                      num_attention_heads=4, num_key_value_heads=2, attn_implementation="eager")
    model = transformers.LlamaForCausalLM(config).eval()
    with FlopCounterMode(display=False) as counter, torch.inference_mode():
        model(torch.arange(20)[None])
    in_products = sum(p.numel() for name, p in model.named_parameters() if p.ndim == 2 and "embed_tokens" not in name)
    # It counts every pair of places, a causal model needs half of them.
    of_a_token = flops_per_token(in_products, layers=3, width=32, context=2 * 20)
    assert counter.get_total_flops() == 20 * of_a_token
    with pytest.raises(MetricError, match=r"^flops_per_token: layers must be a finite number ≥ 0, got -1$"):
        flops_per_token(1, layers=-1)


def safetensors(path: Path, **shapes: list[int]) -> None:
    header: dict[str, Any] = {"__metadata__": {"format": "pt"}}
    header |= {name: {"dtype": "F32", "shape": shape, "data_offsets": [0, 0]} for name, shape in shapes.items()}
    encoded = json.dumps(header).encode()
    path.write_bytes(len(encoded).to_bytes(8, "little") + encoded + b"\0" * 40)


def test_the_size_of_a_model_is_read_from_headers(tmp_path: Path) -> None:
    safetensors(tmp_path / "a.safetensors", w=[3, 5], b=[5], scalar=[])
    one = (tmp_path / "a.safetensors").stat().st_size
    assert model_size(tmp_path / "a.safetensors") == ModelSize(one, 3 * 5 + 5 + 1)
    (tmp_path / "part").mkdir()
    safetensors(tmp_path / "part" / "b.safetensors", w=[7])
    (tmp_path / "pytorch_model.bin").write_bytes(b"x" * 1000)
    two = (tmp_path / "part" / "b.safetensors").stat().st_size
    assert model_size(tmp_path) == ModelSize(one + two, 28)
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / "model.bin").write_bytes(b"x" * 1000)
    assert model_size(tmp_path / "other") == ModelSize(1000, None)
    with pytest.raises(MetricError, match=r"^model_size: path must be a file of weights or a folder with some, got '.*none'$"):
        model_size(tmp_path / "none")
    (tmp_path / "bad.safetensors").write_bytes(b"\x05\0\0\0\0\0\0\0hello")
    with pytest.raises(MetricError, match=r"bad.safetensors' has no sound safetensors header"):
        model_size(tmp_path / "bad.safetensors")


def test_peak_memory_only_grows() -> None:
    before = peak_memory()["resident"]
    if before is None:
        pytest.skip("this system does not tell")
    block = np.ones(before // 8 + 2**22)  # twice what there was, and 32 MiB
    after = peak_memory()["resident"]
    assert after is not None
    assert after >= before + 2**24
    assert block.nbytes > before
