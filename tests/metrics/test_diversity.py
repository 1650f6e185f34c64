"""Diversity of outputs: hand-worked values, slow twins with Counter, words as each language has them, intervals."""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Sequence

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from harness.errors import MetricError
from harness.metrics.diversity import distinct, entropy, ttr, unique_ngrams, yule_k
from harness.metrics.lengths import length_stats
from harness.metrics.richness import mattr, repetition
from harness.metrics.wording import words
from harness.plugins import metric
from harness.stats.estimate import estimate
from harness.types import Estimate, Key, Number, Output, Sample, Scores, Text

SPECS = ("distinct", "ttr", "unique_ngrams", "entropy", "yule_k", "repetition(n=1)", "mattr(window=3)", "length_stats")
texts = st.lists(st.text(alphabet="ab c\n", max_size=12), max_size=6)
orders = st.integers(1, 3)


def scores(spec: str, outputs: Sequence[str]) -> Scores:
    found = metric(spec).score([Sample(str(i)) for i in range(len(outputs))],
                               [Output(Key(str(i)), Text(text)) for i, text in enumerate(outputs)])
    assert found.stats.shape[0] == len(outputs)
    return found


def estimated(spec: str, outputs: Sequence[str]) -> Estimate:
    found = scores(spec, outputs)
    m = found.bound or metric(spec)
    return estimate(found.stats, m.aggregate, finish=m.finish if m.is_additive else None, method=m.interval,
                    missing=found.missing, bounds=m.bounds, rng=np.random.default_rng(0))


def grams(text: str, n: int) -> list[tuple[str, ...]]:
    tokens = re.findall("[a-z0-9]+", text.lower())
    return [tuple(tokens[i : i + n]) for i in range(len(tokens) - n + 1)]


# ── over all outputs ──


@given(texts, orders)
@settings(max_examples=60, deadline=None)
def test_counts_of_all_outputs_equal_a_plain_counter(outputs: list[str], n: int) -> None:
    counts = Counter(gram for text in outputs for gram in grams(text, n))
    total = sum(counts.values())
    if not total:
        assert all(math.isnan(f(outputs, n=n)) for f in (distinct, entropy, yule_k))
        assert unique_ngrams(outputs, n=n) == pytest.approx(0 if outputs else math.nan, nan_ok=True)
        return
    assert distinct(outputs, n=n) == len(counts) / total
    assert unique_ngrams(outputs, n=n) == len(counts)
    assert entropy(outputs, n=n) == pytest.approx(-sum(c / total * math.log2(c / total) for c in counts.values()), abs=1e-9)
    assert yule_k(outputs, n=n) == pytest.approx(1e4 * (sum(c * c for c in counts.values()) - total) / total**2, abs=1e-9)


def test_hand_worked_values() -> None:
    outputs = ["the cat sat", "the cat ran", "the dog ran off"]
    # 10 words, 6 of them different; bigrams: the-cat twice, cat-sat, cat-ran, the-dog, dog-ran, ran-off.
    assert ttr(outputs) == 6 / 10
    assert distinct(outputs) == 6 / 7
    assert distinct(outputs, n=3) == 1
    assert unique_ngrams(outputs) == 6
    assert yule_k(outputs) == pytest.approx(1e4 * (9 + 4 + 4 + 1 + 1 + 1 - 10) / 100)
    assert entropy(["a a b c"]) == pytest.approx(1.5)
    assert entropy(["a a b c"], base=math.e) == pytest.approx(1.5 * math.log(2))
    assert entropy(["a a a"]) == 0
    assert yule_k(["a b c"]) == 0


def test_n_grams_end_with_their_output() -> None:
    assert distinct(["a b", "c d"]) == 1
    assert unique_ngrams(["a b", "c d"]) == 2
    assert unique_ngrams(["a b\nc d"]) == 3


# ── inside of a text ──


@given(texts, orders, st.integers(1, 5))
@settings(max_examples=60, deadline=None)
def test_values_of_a_text_equal_a_plain_loop(outputs: list[str], n: int, window: int) -> None:
    repeats = [1 - len(set(g)) / len(g) for g in (grams(text, n) for text in outputs) if g]
    assert repetition(outputs, n=n) == pytest.approx(np.mean(repeats) if repeats else math.nan, abs=1e-12, nan_ok=True)
    averages = []
    for tokens in (grams(text, 1) for text in outputs):
        size = min(window, len(tokens))
        if size:
            windows = [tokens[i : i + size] for i in range(len(tokens) - size + 1)]
            averages.append(np.mean([len(set(w)) / size for w in windows]))
    assert mattr(outputs, window=window) == pytest.approx(np.mean(averages) if averages else math.nan, abs=1e-12, nan_ok=True)


def test_repetition_and_mattr_by_hand() -> None:
    assert repetition(["a b c d", "a b a b a b a b"]) == pytest.approx((0 + 1 - 2 / 5) / 2)
    assert mattr(["a a b b"], window=3) == pytest.approx(2 / 3)
    assert mattr(["a a b"], window=50) == pytest.approx(2 / 3)
    stats = scores("repetition", ["a b c", "a b c d", ""])
    assert stats.missing == {0: "the text has fewer than 4 words", 2: "the text has fewer than 4 words"}
    assert stats.stats[1].tolist() == [0.0, 1.0]
    assert scores("mattr", ["…"]).missing == {0: "the text has no word"}


def test_what_a_missing_text_could_have_had() -> None:
    ends = {spec: metric(spec).extremes(Sample("1")) for spec in ("repetition", "mattr", "length_stats")}
    worst, best = ends["repetition"] or ((), ())
    assert (list(worst), list(best)) == ([1, 1], [0, 1])
    worst, best = ends["mattr"] or ((), ())
    assert (list(worst), list(best)) == ([0, 1], [1, 1])
    assert ends["length_stats"] is None


def test_lengths() -> None:
    outputs = ["one", "two words", "", "three more words", "é"]
    # é is no word of a–z.
    assert metric("length_stats").finish(scores("length_stats", outputs).stats.sum(axis=0)) == (1 + 2 + 0 + 3 + 0) / 5
    m = metric("length_stats(unit=byte)")
    assert m.finish(scores("length_stats(unit=byte)", outputs).stats.sum(axis=0)) == (3 + 9 + 0 + 16 + 2) / 5
    table = length_stats(outputs, unit="character")
    assert table == {"n": 5, "mean": 29 / 5, "sd": pytest.approx(np.std([3, 9, 0, 16, 1])), "0 %": 0, "5 %": pytest.approx(0.2),
                     "25 %": 1, "50 %": 3, "75 %": 9, "95 %": pytest.approx(14.6), "100 %": 16}
    assert dict(metric("length_stats").tables(scores("length_stats", ["a b", "a b c d"]).stats)["lengths"].rows)["mean"] == 3
    assert length_stats([]) == {}


# ── words ──


@pytest.mark.parametrize(("scheme", "text", "expected"), [
    ("ascii", "Über 20 cats, don't!", "ber 20 cats don t"),
    ("unicode", "Über 20 cats, don't! Привет", "über 20 cats don t привет"),
    ("zh", "我们 use GPT模型，好", "我 们 use gpt 模 型 好"),
    ("ja", "東京タワーはTokyoに", "東 京 タ ワ ー は tokyo に"),
    ("zh", "東京タワー", "東 京 タワー"),
    ("char", "A b。", "A b 。"),
    ("space", "A cat,\tsat\u3000on", "A cat, sat on"),
])
def test_words_of_each_scheme(scheme: str, text: str, expected: str) -> None:
    wanted = expected.split(" ")
    both = words([text, *wanted], scheme)  # type: ignore[arg-type]
    assert both.lengths.tolist() == [len(wanted), *[1] * len(wanted)]
    assert both.ids[: len(wanted)].tolist() == both.ids[len(wanted) :].tolist()
    assert len(set(both.ids.tolist())) == len(set(wanted))


@pytest.mark.parametrize(("language", "scheme"), [
    ("en", "ascii"), ("en-GB", "ascii"), ("de", "unicode"), ("zh-Hant", "zh"), ("ja", "ja"), ("th", "char"),
    ("ru_RU", "unicode"),
])
def test_the_language_of_the_task_decides(language: str, scheme: str) -> None:
    assert metric("distinct").for_language(language).signature() == f"distinct(n=2,tokenize={scheme})#v1"
    assert metric("distinct(tokenize=char)").for_language(language).signature() == "distinct(n=2,tokenize=char)#v1"
    assert metric("mattr").for_language(language).signature() == f"mattr(tokenize={scheme},window=50)#v1"


def test_it_warns_where_letters_vanish() -> None:
    russian, german = [Sample("1", references=("Привет, мир",))], [Sample("1", {"text": "Über uns"})]
    for spec in ("distinct", "repetition", "length_stats"):
        (warning,) = metric(spec).prepare(russian).warnings()
        assert warning == (f"{spec}: tokenize=ascii deletes 100% of the letters of the samples; "
                           "set the task's language, or tokenize=unicode")
        assert metric(spec).prepare(german).warnings() == ()
        assert metric(spec).for_language("ru").prepare(russian).warnings() == ()


# ── as metrics ──


@pytest.mark.parametrize("spec", SPECS)
def test_intervals_hold_the_value_and_come_from_what_the_metric_says(spec: str) -> None:
    rng = np.random.default_rng(0)
    outputs = [" ".join(f"w{int(i)}" for i in rng.geometric(0.05, size=rng.integers(3, 12))) for _ in range(60)]
    found = estimated(spec, outputs)
    assert found.value is not None
    if spec == "unique_ngrams":
        assert (found.low, found.high, found.method) == (None, None, "none")
        return
    assert found.low is not None
    assert found.high is not None
    assert found.low < found.value < found.high
    assert found.method.startswith(("bootstrap(bca", "score(delta)") if metric(spec).is_additive else "subsample")


@pytest.mark.parametrize("spec", SPECS)
def test_the_metric_is_the_function_in_any_order_and_part(spec: str) -> None:
    outputs = ["a b a c", "", "b c d", "a b a c", "d d d e"]
    functions = {"distinct": distinct, "ttr": ttr, "unique_ngrams": unique_ngrams, "entropy": entropy, "yule_k": yule_k,
                 "repetition(n=1)": lambda t: repetition(t, n=1), "mattr(window=3)": lambda t: mattr(t, window=3),
                 "length_stats": lambda t: length_stats(t)["mean"]}
    found = scores(spec, outputs)
    m = found.bound or metric(spec)
    there = np.array([row for row in range(5) if row not in found.missing])
    weights = np.array([[1.0, 1, 1, 1, 1], [1, 0, 0, 1, 1], [0, 1, 1, 0, 1]])
    values = m.aggregate(found.stats[there], weights[:, there])
    expected = [functions[spec]([text for text, w in zip(outputs, row) if w]) for row in weights]
    assert values == pytest.approx(expected, abs=1e-12)
    assert functions[spec](outputs[::-1]) == pytest.approx(expected[0], abs=1e-12)


@pytest.mark.parametrize("spec", SPECS)
def test_other_answers_are_missing_and_nothing_is_undefined(spec: str) -> None:
    found = metric(spec).score([Sample("1"), Sample("2")], [Output(Key("1"), Number(1)), Output(Key("2"), Text("a b c"))])
    assert found.missing == {0: "the answer is Number, not Text"}
    assert not np.isnan(found.stats[1]).any()
    nothing = estimated(spec, [])
    assert (nothing.value, nothing.reason) == (None, "there are no samples")
    assert metric(metric(spec).spec) == metric(spec)


@pytest.mark.parametrize(("spec", "message"), [
    ("distinct(n=0)", "distinct: n must be a positive integer, got 0"),
    ("entropy(base=1)", "entropy: base must be above 1 and finite, got 1.0"),
    ("repetition(n=-1)", "repetition: n must be a positive integer, got -1"),
    ("mattr(window=0)", "mattr: window must be a positive integer, got 0"),
    ("length_stats(unit=line)", "length_stats: unit must be one of word, character, byte, got 'line'"),
    ("yule_k(tokenize=de)", "yule_k: tokenize must be one of ascii, unicode, char, zh, ja, space, got 'de'"),
])
def test_parameters(spec: str, message: str) -> None:
    with pytest.raises(MetricError, match=f"^{message}$"):
        metric(spec)


def test_a_list_that_holds_no_text() -> None:
    for function in (distinct, ttr, unique_ngrams, entropy, yule_k, repetition, mattr, length_stats):
        with pytest.raises(MetricError, match=r": texts\[1\] must be a text, got 3$"):
            function(["a", 3])  # type: ignore[list-item]
