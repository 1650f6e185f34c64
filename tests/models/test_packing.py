"""Rows of several sequences: what they hold, that they change no score, and that models unfit for them are found out."""

from __future__ import annotations

import random
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from types import SimpleNamespace
from typing import Any

import pytest

from harness.models import packing
from harness.models.packing import model_inputs, rows_of, shortest_window
from harness.models.scoring import TokenPair, layout, score_sequences, widest_row
from harness.models.transformers import Transformers
from harness.types import Call, Key, Likelihoods, LogLikelihood
from tests.models.real import with_loaded

torch = pytest.importorskip("torch")
transformers = pytest.importorskip("transformers")

VOCABULARY = 90
SIZES: dict[str, Any] = {"vocab_size": VOCABULARY, "hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 2,
                         "max_position_embeddings": 256, "initializer_range": 0.3, "bos_token_id": 1, "eos_token_id": 2}
ROTARY = {**SIZES, "num_key_value_heads": 1, "intermediate_size": 48, "pad_token_id": None}


def tiny(architecture: str, **options: Any) -> Any:
    """A random model with weights so large that a wrong position or a leak between branches shows in every score."""
    config = getattr(transformers, f"{architecture}Config")(**options)
    with torch.random.fork_rng():
        torch.manual_seed(1)
        return transformers.AutoModelForCausalLM.from_config(config).float().eval()


def requests(lengths: Sequence[int], seed: int = 0) -> list[list[TokenPair]]:
    """A request a length: five continuations of one to nine tokens; two begin alike and two are equal."""
    rng = random.Random(seed)

    def tokens(n: int) -> list[int]:
        return [rng.randrange(3, VOCABULARY) for _ in range(n)]

    groups: list[list[TokenPair]] = []
    for length in lengths:
        context, long = tokens(length), tokens(9)
        groups.append([(context, one) for one in (tokens(1), tokens(4), long, [*long[:3], *tokens(2)], long)])
    return groups


def twin(model: Any, pairs: Sequence[TokenPair]) -> list[float]:
    """The slow, obvious way: a pass a pair, neither padded nor shared, log-softmax in float64."""
    totals = []
    for context, continuation in pairs:
        with torch.inference_mode():
            logprobs = model(torch.tensor([[*context, *continuation]])).logits[0].double().log_softmax(-1)
        totals.append(sum(float(logprobs[len(context) + i - 1, token]) for i, token in enumerate(continuation)))
    return totals


def scores(model: Any, pairs: Sequence[TokenPair], budget: int, widest: int) -> list[float]:
    results = score_sequences(model, pairs, budget, widest)
    return [result.logprob for result in results if result is not None]


@contextmanager
def tokens_read(model: Any) -> Iterator[list[int]]:
    """Padded tokens of every pass through the model within."""
    read: list[int] = []
    handle = model.register_forward_pre_hook(lambda _, __, options: read.append(options["input_ids"].numel()), with_kwargs=True)
    yield read
    handle.remove()


# ── rows ──


def test_a_row_holds_common_tokens_once_with_positions_and_mask() -> None:
    (row,) = rows_of([[7, 8, 3], [7, 8, 4, 5], [7, 6], [7, 8]], budget=100, widest=100)
    assert row.tokens == [7, 8, 3, 4, 5, 6]
    assert row.places == [[0, 1, 2], [0, 1, 3, 4], [0, 5], [0, 1]]
    inputs = model_inputs([row, *rows_of([[9, 9]], 100, 100)], torch.float32, "cpu")
    assert inputs["input_ids"].tolist() == [[7, 8, 3, 4, 5, 6], [9, 9, 0, 0, 0, 0]]
    assert inputs["position_ids"].tolist() == [[0, 1, 2, 2, 3, 1], [0, 1, 0, 0, 0, 0]]
    mask = inputs["attention_mask"]
    assert set(mask.unique().tolist()) == {0.0, torch.finfo(torch.float32).min}
    assert (mask == 0).int()[:, 0].tolist() == [
        [[1, 0, 0, 0, 0, 0],
         [1, 1, 0, 0, 0, 0],
         [1, 1, 1, 0, 0, 0],
         [1, 1, 0, 1, 0, 0],
         [1, 1, 0, 1, 1, 0],
         [1, 0, 0, 0, 0, 1]],
        [[1, 0, 0, 0, 0, 0],
         [1, 1, 0, 0, 0, 0],
         [0, 0, 1, 0, 0, 0],
         [0, 0, 0, 1, 0, 0],
         [0, 0, 0, 0, 1, 0],
         [0, 0, 0, 0, 0, 1]]]


@pytest.mark.parametrize(("budget", "widest"), [(10**6, 10**6), (60, 10**6), (10**6, 40), (1, 10**6), (300, 300)])
def test_rows_hold_every_sequence_and_each_distinct_beginning_once(budget: int, widest: int) -> None:
    rng = random.Random(budget + widest)
    sequences = [[rng.randrange(2) for _ in range(rng.randrange(1, 30))] for _ in range(200)]
    rows = rows_of(sequences, budget, widest)
    held = [[row.tokens[place] for place in places] for row in rows for places in row.places]
    assert held == sequences
    rest = iter(sequences)
    for row in rows:
        mine = [next(rest) for _ in row.places]
        assert len(row) == len({tuple(one[:end]) for one in mine for end in range(1, len(one) + 1)})
        if len(mine) > 1:
            assert len(row) <= widest
            # Twice only where one sequence is more than the budget by itself.
            assert len(row) <= budget or max(map(len, mine)) > budget
    assert len(rows) < len(sequences)


def test_without_a_width_every_sequence_has_its_own_row() -> None:
    assert [row.tokens for row in rows_of([[1, 2], [1, 2], [1]], budget=100, widest=0)] == [[1, 2], [1, 2], [1]]


def test_long_sequences_share_a_row_only_where_that_saves_work() -> None:
    rng = random.Random(3)
    long = [[rng.randrange(10**6) for _ in range(400)] for _ in range(4)]
    assert [len(row.places) for row in rows_of(long, 10**6, 10**6)] == [1, 1, 1, 1]
    begun_alike = [long[0] + [rng.randrange(10**6) for _ in range(5)] for _ in range(4)]
    assert [len(row) for row in rows_of(begun_alike, 10**6, 10**6)] == [400 + 4 * 5]
    assert layout([(sequence, [1, 2]) for sequence in begun_alike], 10**6, 10**6) == (400 + 4 * 6, 1)
    assert layout([(sequence, [1, 2]) for sequence in begun_alike], 10**6, 0) == (406, 4)


# ── scores ──

FIT = {
    "Llama": {**ROTARY},
    "GPT2": {"vocab_size": VOCABULARY, "n_embd": 32, "n_layer": 2, "n_head": 2, "n_positions": 256, "initializer_range": 0.3},
    "OPT": {**SIZES, "ffn_dim": 48, "word_embed_proj_dim": 32, "init_std": 0.3},
    "GPTNeoX": {**SIZES, "intermediate_size": 48},
}
LONG_AND_SHORT = (3, 40, 90, 1)


@pytest.mark.parametrize("architecture", FIT)
@pytest.mark.parametrize("attention", ["sdpa", "eager"])
def test_shared_rows_change_no_score(architecture: str, attention: str) -> None:
    model = tiny(architecture, **FIT[architecture], attn_implementation=attention)
    said: list[str] = []
    assert widest_row(model, 256, said.append) == 256
    assert said == []
    pairs = [pair for group in requests(LONG_AND_SHORT) for pair in group]
    wanted = twin(model, pairs)
    for budget in (1, 150, 10**6):
        assert scores(model, pairs, budget, 256) == pytest.approx(wanted, abs=1e-4)
    # The test can fail: positions and masks of rows matter to these models.
    wrong = [[3, *context[1:]] for context, _ in pairs]
    assert scores(model, list(zip(wrong, (one for _, one in pairs))), 10**6, 256) != pytest.approx(wanted, abs=1e-2)


def test_shared_rows_are_less_to_read() -> None:
    model = tiny("Llama", **FIT["Llama"])
    (group,) = requests([100])
    with tokens_read(model) as together:
        score_sequences(model, group, 10**6, 256)
    with tokens_read(model) as apart:
        score_sequences(model, group, 10**6, 0)
    # 100 of the prompt, none for one token, 3 for four, 8 for nine, 1 beyond what it shares for five, none for a copy.
    assert together == [100 + 0 + 3 + 8 + 1]
    assert apart == [5 * 108]


def test_prompts_that_begin_alike_share_across_requests() -> None:
    model = tiny("Llama", **FIT["Llama"])
    shots = [5 + i % 80 for i in range(100)]
    pairs = [([*shots, first, *context], one) for first, group in enumerate(requests([9] * 6)) for context, one in group]
    with tokens_read(model) as read:
        together = scores(model, pairs, 10**6, 10**6)
    assert read == [100 + 6 * (10 + 3 + 8 + 1)]
    assert together == pytest.approx(twin(model, pairs), abs=1e-4)


# ── models that are unfit, or fit for a part ──


@pytest.mark.parametrize(("window", "architecture", "options"), [
    (40, "Mistral", {**ROTARY, "sliding_window": 40}),
    (64, "Gemma3Text", {**ROTARY, "head_dim": 16, "sliding_window": 64,
                        "layer_types": ["sliding_attention", "full_attention"]}),
    (64, "GPTNeo", {"vocab_size": VOCABULARY, "hidden_size": 32, "num_layers": 2, "num_heads": 2, "initializer_range": 0.3,
                    "window_size": 64, "attention_types": [[["global", "local"], 1]], "max_position_embeddings": 256}),
])
def test_a_sliding_window_bounds_the_rows(window: int, architecture: str, options: dict[str, Any]) -> None:
    model = tiny(architecture, **options)
    assert widest_row(model, 256, pytest.fail) == window
    pairs = [pair for group in requests((3, 40, 17, 90, 150)) for pair in group]
    assert scores(model, pairs, 10**6, window) == pytest.approx(twin(model, pairs), abs=1e-4)
    # Without the bound the window is lost: what the bound is for.
    assert scores(model, pairs, 10**6, 256) != pytest.approx(twin(model, pairs), abs=1e-2)


def test_a_window_too_short_to_be_tried_leaves_rows_apart() -> None:
    said: list[str] = []
    assert widest_row(tiny("Mistral", **ROTARY, sliding_window=8), 256, said.append) == 0
    assert "it looks back over 8 tokens only" in said[0]


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
    assert widest_row(model, 256, said.append) == 0
    assert [message.startswith("each continuation is scored in a row of its own") for message in said] == [True]
    pairs = [pair for group in requests((3, 17)) for pair in group]
    assert scores(model, pairs, 10**6, 0) == pytest.approx(twin(model, pairs), abs=1e-4)


@pytest.mark.parametrize("ignored", ["position_ids", "attention_mask"])
@pytest.mark.parametrize("architecture", FIT)
def test_the_trial_finds_out_a_model_that_ignores(architecture: str, ignored: str) -> None:
    model = tiny(architecture, **FIT[architecture])
    model.register_forward_pre_hook(lambda _, args, options: (args, options | {ignored: None}), with_kwargs=True)
    said: list[str] = []
    assert widest_row(model, 256, said.append) == 0
    # OPT without positions makes them from the mask and fails.
    assert ("IndexError" if (architecture, ignored) == ("OPT", "position_ids") else "its scores differed by") in said[0]


def test_rows_are_bounded_by_what_the_model_can_read_and_by_their_masks() -> None:
    model = tiny("Llama", **FIT["Llama"])
    assert widest_row(model, 100, pytest.fail) == 100
    assert widest_row(model, 10**6, pytest.fail) == 8192


def test_windows_are_read_from_the_configuration() -> None:
    def window(**values: Any) -> int | None:
        config = SimpleNamespace(**values)
        return shortest_window(SimpleNamespace(get_text_config=lambda: config))

    assert window(sliding_window=None, max_window_layers=28) is None
    assert window(sliding_window=4096, attention_chunk_size=512) == 512
    assert shortest_window(transformers.GPTNeoConfig()) == 256


# ── memory ──


def test_a_shared_row_that_is_too_much_is_scored_in_rows_apart() -> None:
    model = tiny("Llama", **FIT["Llama"])
    pairs = [pair for group in requests((3, 40, 17)) for pair in group]
    wanted = twin(model, pairs)

    def scarce(_: Any, __: Any, options: dict[str, Any]) -> None:
        if options["input_ids"].numel() > 48:
            raise RuntimeError("DefaultCPUAllocator: not enough memory: you tried to allocate 1 bytes.")

    model.register_forward_pre_hook(scarce, with_kwargs=True)
    assert scores(model, pairs, 10**6, 256) == pytest.approx(wanted, abs=1e-4)
    (lost,) = score_sequences(model, [(list(range(3, 60)), [5])], 10**6, 256)
    assert lost is None


# ── the real model ──


def test_the_real_model_shares_rows_and_keeps_its_scores_and_signature(language_model: Transformers) -> None:
    loaded = language_model._require().loaded
    assert language_model._require().scorer.widest_row == 8192
    apart = with_loaded(language_model)
    apart._require().scorer.widest_row = 0
    labels = (" opening hours", " renew a loan", " reserve a book", " lost item", " room booking", "\n", " renew a card")
    prefixes = [f"{'A message of a reader. ' * (i % 4)}Message {i}: hello  \nTopic:" for i in range(6)]
    calls = [Call(Key(str(i)), LogLikelihood(prefix, labels[i % 3 :])) for i, prefix in enumerate(prefixes)]
    with tokens_read(loaded.model) as read_together:
        together = {out.key: out for batch in language_model.batches(calls) for out in language_model.run(batch)}
    with tokens_read(loaded.model) as read_apart:
        plain = {out.key: out for batch in apart.batches(calls) for out in apart.run(batch)}
    assert sum(read_together) < sum(read_apart) / 3
    for key, out in together.items():
        ours, theirs = out.answer, plain[key].answer
        assert isinstance(ours, Likelihoods)
        assert isinstance(theirs, Likelihoods)
        assert ours.logprobs == pytest.approx(theirs.logprobs, abs=1e-4)
        assert (ours.n_tokens, ours.is_greedy, out.usage) == (theirs.n_tokens, theirs.is_greedy, plain[key].usage)
    assert language_model.signature() == apart.signature()


def test_contexts_that_are_cut_differently_are_told_apart(language_model: Transformers) -> None:
    small = with_loaded(language_model, max_length=12)
    request = LogLikelihood("One of the three primary colours that painters mix is a yell",
                            ("ow or a deep red", " or blue", "ing, or"))
    pairs, cut = small._require().scorer._pairs(Call(Key("x"), request))
    assert cut
    assert len({tuple(context) for context, _ in pairs}) > 1
    (out,) = small.run([Call(Key("x"), request)])
    assert isinstance(out.answer, Likelihoods)
    assert out.answer.logprobs == pytest.approx(twin(small._require().loaded.model, pairs), abs=1e-4)


def test_rows_are_filled_up_to_a_bound() -> None:
    rng = random.Random(0)
    rows = rows_of([[rng.randrange(10**6) for _ in range(20)] for _ in range(100)], 4096, 8192)
    assert {len(row) for row in rows[:-1]} == {packing._FILL // 20 * 20}
