"""Log-likelihoods of a whole wave: common beginnings are run once, and nothing else changes than the work."""

from __future__ import annotations

import random
from collections.abc import Sequence
from typing import Any

import pytest

from harness.models.prefixes import PrefixCache
from harness.models.scoring import SequenceScorer, _gather, score_sequences
from harness.models.sharing import TokenPair, arrange
from harness.models.transformers import Transformers
from harness.models.trial import Sharing
from harness.types import Call, Key, LogLikelihood, Perplexity
from tests.models.answers import answered, likelihoods, outputs_by_sample
from tests.models.real import with_loaded
from tests.models.tiny import FIT, passes, requests, scarce, tiny, tokens, torch, twin


def scores(model: Any, pairs: Sequence[TokenPair], budget: int, widest: int, *, stems: bool = False) -> list[float]:
    results = score_sequences(model, pairs, budget, widest, stems=stems)
    return [result.logprob for result in results if result is not None]


def flat(groups: Sequence[Sequence[TokenPair]]) -> list[TokenPair]:
    return [pair for group in groups for pair in group]


# ── scores ──


@pytest.mark.parametrize("architecture", FIT)
@pytest.mark.parametrize("attention", ["sdpa", "eager"])
def test_sharing_changes_no_score(architecture: str, attention: str) -> None:
    model = tiny(architecture, **FIT[architecture], attn_implementation=attention)
    shots = tokens(random.Random(1), 60)
    pairs = flat([*requests((3, 40, 90, 1)), *requests((5, 1, 20, 33), stem=shots)])
    wanted = twin(model, pairs)
    for budget, widest, stems in ((10**6, 0, False), (1, 256, False), (150, 256, True), (900, 256, True), (10**6, 256, False)):
        assert scores(model, pairs, budget, widest, stems=stems) == pytest.approx(wanted, abs=1e-4)
    # The test can fail: positions and masks of rows matter to these models.
    wrong = [([3, *context[1:]], continuation) for context, continuation in pairs]
    assert scores(model, wrong, 900, 256, stems=True) != pytest.approx(wanted, abs=1e-2)


def test_a_stem_is_run_once_for_all_batches_and_the_rest_of_each_prompt_once() -> None:
    model = tiny("Llama", **FIT["Llama"])
    groups = requests([9] * 30, stem=tokens(random.Random(2), 100))
    batches = arrange(groups, 500, 10**6, stems=True)
    scorer = SequenceScorer(model, 500, PrefixCache(model))
    found: list[float] = [0.0] * 150
    with passes(model) as run:
        for batch in batches:
            pairs = flat([groups[i] for i in batch.groups])
            numbers = [5 * i + k for i in batch.groups for k in range(5)]
            for number, one in scorer.score(pairs, batch.rows, batch.stem).items():
                assert one is not None
                found[numbers[number]] = one.logprob
    assert found == pytest.approx(twin(model, flat(groups)), abs=1e-4)
    # 100 of the stem but once; 9 of each prompt, none for one token, 3 for four, 8 for nine, 1 beyond what it shares.
    assert run[0] == (1, 100)
    assert sum(rows * width for rows, width in run[1:]) <= 1.1 * 30 * (9 + 3 + 8 + 1)
    assert all(rows * width <= 500 for rows, width in run)


def test_shared_rows_are_less_to_read() -> None:
    model = tiny("Llama", **FIT["Llama"])
    (group,) = requests([100])
    batches = arrange([group], 10**6, 256, stems=False)
    with passes(model) as together:
        SequenceScorer(model, 10**6, None).score(group, batches[0].rows)
    with passes(model) as apart:
        score_sequences(model, group, 10**6, 0)
    assert together == [(1, 100 + 0 + 3 + 8 + 1)]
    assert apart == [(5, 108)]


@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
def test_log_softmax_and_the_likeliest_token_of_logits_that_tie(dtype: str) -> None:
    generator = torch.Generator().manual_seed(0)
    # So few values that several are highest in every row: the first of them is the likeliest.
    logits = torch.randint(-6, 7, (40, 3000), generator=generator).to(getattr(torch, dtype))
    states = torch.randint(0, 40, (300,), generator=generator)
    likeliest = logits.float().argmax(1)[states]
    last = 2999 - logits.float().flip(1).argmax(1)[states]
    targets = torch.where(torch.arange(300) % 3 == 0, likeliest, torch.where(torch.arange(300) % 3 == 1, last, states))
    logprobs, greedy = _gather(logits, states, targets)
    wanted = logits.double().log_softmax(1)[states, targets]
    assert logprobs.tolist() == pytest.approx(wanted.tolist(), abs=1e-4)
    assert greedy.tolist() == (targets == likeliest).tolist()
    assert (targets == last).sum() > (targets == likeliest).sum() - 10 > 80


# ── memory ──


@pytest.mark.parametrize(("most", "is_shared"), [(400, True), pytest.param(200, False, marks=pytest.mark.slow)])
def test_what_is_too_much_for_memory_is_scored_in_parts_and_at_last_without_sharing(most: int, is_shared: bool) -> None:
    model = tiny("Llama", **FIT["Llama"])
    pairs = flat([group[2:4] for group in requests([9] * 26, stem=tokens(random.Random(3), 50))])
    wanted = twin(model, pairs)
    with passes(model) as tried, scarce(model, most), passes(model) as run:
        assert scores(model, pairs, 700, 10**6, stems=True) == pytest.approx(wanted, abs=1e-4)
    assert len(tried) > len(run)
    assert run[0] == (1, 50)
    # With 50 tokens before it a row of up to 256 fits into 400 alone, and not into 200: apart, a pair reads 67 at most.
    assert {columns <= 67 for _, columns in run[1:]} == {not is_shared}


def test_a_sequence_too_long_for_memory_is_told_from_the_others() -> None:
    model = tiny("Llama", **FIT["Llama"])
    pairs = [(list(range(3, 60)), [5]), ([3, 4], [5])]
    with scarce(model, 40):
        lost, found = score_sequences(model, pairs, 10**6, 256, stems=True)
    assert lost is None
    assert found is not None
    assert found.logprob == pytest.approx(twin(model, pairs[1:])[0], abs=1e-4)


# ── the real model ──

SHOTS = "".join(f"Question: How many legs has animal number {i}?\nAnswer: {i + 2} legs\n\n" for i in range(4))
ENDS = (" opening hours", " renew a loan", " reserve a book", " lost item", " room booking", "\n", " renew a card")


def wave(n: int, shots: str = SHOTS) -> list[Call]:
    return [Call(Key(f"{i:03}"), LogLikelihood(f"{shots}{'Well. ' * (i % 4)}Message {i}: hello  \nTopic:", ENDS[i % 3 :]))
            for i in range(n)]


@pytest.mark.slow
def test_a_wave_is_read_in_a_fraction_of_its_tokens_and_scores_stay(language_model: Transformers) -> None:
    loaded = language_model._require().loaded
    shared, apart = with_loaded(language_model, batch_tokens=512), with_loaded(language_model, batch_tokens=512)
    assert shared._require().scorer.sharing == Sharing(8192, stems=True)
    apart._require().scorer.sharing = Sharing(0, stems=False)
    calls = wave(60)
    with passes(loaded.model) as run:
        together = answered(shared, calls)
    with passes(loaded.model) as run_apart:
        plain = answered(apart, calls[:1])
    assert run[0] == (1, len(loaded.prompts.encode(SHOTS)) + 1)  # and the "Message" or "Well" that it was sorted by
    assert len(run) > 2
    assert sum(rows * width for rows, width in run) < 60 / 20 * sum(rows * width for rows, width in run_apart)
    for name, out in plain.items():
        ours, theirs = likelihoods(together[name]), likelihoods(out)
        assert ours.logprobs == pytest.approx(theirs.logprobs, abs=1e-4)
        assert (ours.n_tokens, ours.is_greedy, together[name].usage) == (theirs.n_tokens, theirs.is_greedy, out.usage)
    assert shared.signature() == apart.signature()


def test_batches_follow_from_the_calls_and_keep_the_budget(language_model: Transformers) -> None:
    tight = with_loaded(language_model, batch_tokens=200)
    scorer = tight._require().scorer
    calls = [*wave(25, "")]
    calls += [Call(Key(f"p{i}"), Perplexity("word " * (3 + 7 * i % 60))) for i in range(9)]
    batches = scorer.batches(calls)
    assert sorted(call.key.sample_id for batch in batches for call in batch) == sorted(call.key.sample_id for call in calls)
    assert all(len({type(call.request) for call in batch}) == 1 for batch in batches)
    # Full, too: no two neighbours of a kind could have been one.
    assert len(batches) < len(calls) / 2
    random.Random(0).shuffle(calls)
    assert scorer.batches(calls) == batches
    with passes(tight._require().loaded.model) as run:
        for batch in batches[:3]:
            list(scorer.outputs(batch))
    assert len(run) == 3
    assert all(rows * width <= 200 for rows, width in run)


def test_calls_are_tokenised_once_and_kept_for_their_batches_alone(language_model: Transformers) -> None:
    scorer = with_loaded(language_model)._require().scorer
    made: list[Call] = []
    plan = scorer._asked
    scorer._asked = lambda call: made.append(call) or plan(call)  # type: ignore[func-returns-value, method-assign]
    calls = wave(3, "")
    (batch,) = scorer.batches(calls)
    outputs = {out.key: likelihoods(out).logprobs for out in scorer.outputs(batch)}
    assert len(made) == 3
    assert scorer._planned == {}
    # The same keys with other requests get their own answers, whatever was planned before.
    scorer.batches(calls)
    others = [Call(call.key, LogLikelihood(f"Other {call.key.sample_id}", (" words",))) for call in batch]
    found = {out.key: likelihoods(out).logprobs for out in scorer.outputs(others)}
    assert {len(logprobs) for logprobs in found.values()} == {1}
    assert outputs.keys() == found.keys()
    # And what was not put into batches before is answered all the same.
    assert {out.key: likelihoods(out).logprobs for out in scorer.outputs(batch)} == {
        key: pytest.approx(logprobs, abs=1e-4) for key, logprobs in outputs.items()}


def test_calls_that_cannot_be_answered_say_so_and_cost_no_pass(language_model: Transformers) -> None:
    calls = [*wave(2, ""), Call(Key("empty"), LogLikelihood("One", (" two", ""))), Call(Key("nothing"), Perplexity("")),
             Call(Key("only read"), Perplexity("One", bos=False))]
    with passes(language_model._require().loaded.model) as run:
        outputs = outputs_by_sample(language_model, calls)
    assert str(outputs["empty"].error).startswith("the continuation '' has no token of its own")
    for name in ("nothing", "only read"):
        assert outputs[name].answer is None
        assert str(outputs[name].error).startswith("the text has no token to score")
    assert [outputs[name].error for name in ("000", "001")] == [None, None]
    assert len(run) == 1


def test_contexts_that_are_cut_differently_are_told_apart(language_model: Transformers) -> None:
    small = with_loaded(language_model, max_length=12)
    request = LogLikelihood("One of the three primary colours that painters mix is a yell",
                            ("ow or a deep red", " or blue", "ing, or"))
    pairs, cut = small._require().loaded.inputs.pairs(Call(Key("x"), request))
    assert cut
    assert len({tuple(context) for context, _ in pairs}) > 1
    (out,) = small.run([Call(Key("x"), request)])
    assert likelihoods(out).logprobs == pytest.approx(twin(small._require().loaded.model, pairs), abs=1e-4)


