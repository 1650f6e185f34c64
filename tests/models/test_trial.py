"""Models that are unfit for shared rows or for states computed before are found out at loading, and keep their scores."""

from __future__ import annotations

from typing import Any

import pytest

from harness.errors import BackendError
from harness.models.scoring import score_sequences
from harness.models.trial import Sharing, _Trial, check_causal, sharing
from tests.models.tiny import FIT, ROTARY, VOCABULARY, requests, tiny, torch, twin

APART = "each continuation is scored in a row of its own, without sharing its prompt's tokens: "
NO_STEMS = "what all prompts begin with is read once a row, not once for all: "


def scores(model: Any, pairs: Any, found: Sharing) -> list[float]:
    results = score_sequences(model, pairs, 10**6, found.widest_row, stems=found.stems)
    return [result.logprob for result in results if result is not None]


def all_pairs(lengths: tuple[int, ...], stem: int = 0) -> list[Any]:
    return [pair for group in requests(lengths, stem=range(3, 3 + stem)) for pair in group]


@pytest.mark.parametrize("architecture", FIT)
@pytest.mark.parametrize("attention", ["sdpa", "eager"])
def test_what_attends_by_mask_and_position_may_share_all(architecture: str, attention: str) -> None:
    model = tiny(architecture, **FIT[architecture], attn_implementation=attention)
    found = sharing(model, 256, pytest.fail)
    assert found == Sharing(256, stems=True)
    assert found.why_not is None
    assert found.difference is not None
    assert found.difference < 1e-4


@pytest.mark.parametrize(("window", "architecture", "options"), [
    (40, "Mistral", {**ROTARY, "sliding_window": 40}),
    (64, "Gemma3Text", {**ROTARY, "head_dim": 16, "sliding_window": 64,
                        "layer_types": ["sliding_attention", "full_attention"]}),
    (64, "GPTNeo", {"vocab_size": VOCABULARY, "hidden_size": 32, "num_layers": 2, "num_heads": 2, "initializer_range": 0.3,
                    "window_size": 64, "attention_types": [[["global", "local"], 1]], "max_position_embeddings": 256}),
])
def test_a_sliding_window_bounds_the_rows_and_allows_no_stem(window: int, architecture: str, options: dict[str, Any]) -> None:
    model = tiny(architecture, **options)
    said: list[str] = []
    found = sharing(model, 256, said.append)
    assert found == Sharing(window, stems=False)
    assert said == [NO_STEMS + "its attention has a window"]
    pairs = all_pairs((3, 40, 17, 90, 150))
    assert scores(model, pairs, found) == pytest.approx(twin(model, pairs), abs=1e-4)
    # Without the bound the window is lost: what the bound is for.
    assert scores(model, pairs, Sharing(256, stems=False)) != pytest.approx(twin(model, pairs), abs=1e-2)


def test_a_window_too_short_to_be_tried_leaves_rows_apart() -> None:
    said: list[str] = []
    assert sharing(tiny("Mistral", **ROTARY, sliding_window=8), 256, said.append) == Sharing(0, stems=False)
    assert said == [APART + "it looks back over 8 tokens only"]


def test_what_was_found_is_kept() -> None:
    window, short = (sharing(tiny("Mistral", **ROTARY, sliding_window=n), 256, lambda message: None) for n in (40, 8))
    assert window.why_not == "its attention has a window"
    assert window.difference is not None
    assert (short.difference, short.why_not) == (None, "it looks back over 8 tokens only")


@pytest.mark.parametrize(("architecture", "options"), [
    # A convolution reaches from each branch into the one before it.
    ("Lfm2", {**ROTARY, "layer_types": ["conv", "full_attention"]}),
    # Distances are made from the mask.
    ("Bloom", {"vocab_size": VOCABULARY, "hidden_size": 32, "n_layer": 2, "n_head": 2, "initializer_range": 0.3}),
    # A state goes on from each branch to the next.
    ("Mamba", {"vocab_size": VOCABULARY, "hidden_size": 32, "num_hidden_layers": 2, "state_size": 8, "initializer_range": 0.3}),
])
def test_an_unfit_architecture_keeps_its_rows_apart_and_its_scores(architecture: str, options: dict[str, Any]) -> None:
    model = tiny(architecture, **options)
    said: list[str] = []
    found = sharing(model, 256, said.append)
    assert found == Sharing(0, stems=False)
    assert [message.startswith(APART) for message in said] == [True]
    pairs = all_pairs((3, 17), stem=40)
    assert scores(model, pairs, found) == pytest.approx(twin(model, pairs), abs=1e-4)


@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
@pytest.mark.parametrize("ignored", ["position_ids", "attention_mask"])
@pytest.mark.parametrize("architecture", FIT)
def test_the_trial_finds_out_a_model_that_ignores(architecture: str, ignored: str, dtype: str) -> None:
    model = tiny(architecture, **FIT[architecture]).to(getattr(torch, dtype))
    model.register_forward_pre_hook(lambda _, args, options: (args, options | {ignored: None}), with_kwargs=True)
    said: list[str] = []
    found = sharing(model, 256, said.append)
    assert found == Sharing(0, stems=False)
    assert said == [f"{APART}{found.why_not}"]
    # OPT without positions makes them from the mask and fails.
    refuses = (architecture, ignored) == ("OPT", "position_ids")
    assert ("IndexError" if refuses else f"its scores differed by {found.difference or 0:.2g}, more than") in said[0]
    assert (found.difference is None) is refuses


def test_a_model_that_forgets_what_was_computed_before_shares_rows_alone() -> None:
    model = tiny("Llama", **FIT["Llama"])

    def forget(_: Any, args: Any, options: dict[str, Any]) -> Any:
        if options.get("past_key_values") is not None:
            for layer in options["past_key_values"].layers:
                layer.keys, layer.values = torch.zeros_like(layer.keys), torch.zeros_like(layer.values)
        return args, options

    model.register_forward_pre_hook(forget, with_kwargs=True)
    said: list[str] = []
    found = sharing(model, 256, said.append)
    assert found == Sharing(256, stems=False)
    assert [message.startswith(NO_STEMS + "on a probe its scores differed by") for message in said] == [True]
    # The number is of the rows, which are shared; that of the stems is in the reason.
    assert found.difference is not None
    assert found.difference < 1e-4
    assert found.why_not == said[0].removeprefix(NO_STEMS)


def test_half_precision_may_share_where_that_is_no_noisier_than_batching() -> None:
    model = tiny("Llama", **FIT["Llama"]).to(torch.bfloat16)
    trial = _Trial(model)
    found = sharing(model, 256, pytest.fail)
    assert found == Sharing(256, stems=True)
    # What plain batches differ by is far above what float32 may: with that alone it would be refused.
    assert 1e-3 < trial._tolerance() <= 1
    moved = abs(trial._scores(trial.rows, 4) - trial._scores([[n] for n in range(len(trial.pairs))])).max()
    assert moved > 1e-4
    assert found.difference == pytest.approx(moved)


def test_rows_are_bounded_by_what_the_model_can_read_and_by_their_masks() -> None:
    model = tiny("Llama", **FIT["Llama"])
    assert sharing(model, 100, pytest.fail).widest_row == 100
    assert sharing(model, 10**6, pytest.fail).widest_row == 8192


BERT = {"vocab_size": VOCABULARY, "hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 2, "intermediate_size": 32,
        "initializer_range": 0.3, "max_position_embeddings": 64}


@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
def test_a_model_that_looks_ahead_is_refused(dtype: str) -> None:
    with pytest.raises(BackendError, match="BertLMHeadModel is no causal language model"):
        check_causal(tiny("Bert", **BERT).to(getattr(torch, dtype)), 64)
    check_causal(tiny("Bert", **BERT, is_decoder=True).to(getattr(torch, dtype)), 64)


def test_a_model_of_weights_next_to_zero_that_looks_ahead_is_refused() -> None:
    with pytest.raises(BackendError, match="no causal"):
        check_causal(tiny("Bert", **{**BERT, "initializer_range": 0.02}), 64)


@pytest.mark.parametrize(("architecture", "options"), [
    *FIT.items(),
    ("Mamba", {"vocab_size": VOCABULARY, "hidden_size": 32, "num_hidden_layers": 2, "state_size": 8, "initializer_range": 0.3}),
    ("Qwen3Moe", {**ROTARY, "head_dim": 16, "num_experts": 4, "num_experts_per_tok": 2, "moe_intermediate_size": 16}),
])
@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
def test_causal_models_pass(architecture: str, options: dict[str, Any], dtype: str) -> None:
    check_causal(tiny(architecture, **options).to(getattr(torch, dtype)), 256)


def test_a_context_shorter_than_the_probe_is_not_exceeded() -> None:
    short = tiny("GPT2", **{**FIT["GPT2"], "n_positions": 3})
    seen: list[int] = []
    short.register_forward_pre_hook(lambda _, __, options: seen.append(options["input_ids"].shape[1]), with_kwargs=True)
    check_causal(short, 3)
    check_causal(short, 1)
    assert seen == [2]
