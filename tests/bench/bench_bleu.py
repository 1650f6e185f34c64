"""BLEU, chrF, bootstrap and self-BLEU against sacrebleu and nltk on real text; equal statistics of every segment come first.

Both sides start cold: texts are read afresh and sacrebleu's caches of lines are emptied before every run.
"""

from __future__ import annotations

import functools
import math
import resource
import time
from collections.abc import Iterator
from functools import partial

import numpy as np
import sacrebleu
from nltk.translate.bleu_score import SmoothingFunction
from nltk.translate.bleu_score import sentence_bleu as nltk_sentence_bleu
from sacrebleu.metrics.helpers import extract_all_char_ngrams, extract_word_ngrams
from sacrebleu.tokenizers import tokenizer_13a, tokenizer_re

from harness.metrics.bleu import Bleu
from harness.metrics.chrf import Chrf
from harness.metrics.mteval import bleu_tokens
from harness.metrics.ngrams import ngram_totals, shared_ngrams
from harness.metrics.nltkbleu import Counts, smoothed_bleu
from harness.metrics.references import ReferenceMetric
from harness.metrics.selfbleu import closest_others, self_bleu
from harness.stats.bootstrap import percentile_interval, replicates
from harness.types import FloatArray
from tests.bench.timing import Race
from tests.bench.wmt17 import Texts, one_after_the_other


def races() -> Iterator[Race]:
    yield compare("corpus BLEU 13a", 24032, Bleu(), sacrebleu.BLEU(), 12)
    yield compare("chrF", 12000, Chrf(), sacrebleu.CHRF(), 12)
    yield compare("chrF++", 12000, Chrf(word_order=2), sacrebleu.CHRF(word_order=2), 10)
    yield compare_bootstrap(24032, 1000)
    yield compare_self_bleu(5000, 12)


def _fresh(n: int) -> Texts:
    """Texts that nobody has seen: sacrebleu keeps what it has cut."""
    for cached in (tokenizer_13a.Tokenizer13a.__call__, tokenizer_re.TokenizerRegexp.__call__,
                   extract_all_char_ngrams, extract_word_ngrams):
        if isinstance(cached, functools._lru_cache_wrapper):
            cached.cache_clear()
    return one_after_the_other(n)


# ── against sacrebleu ───────────────────────────────────────────────────────────────────────────────────────────────


def compare(what: str, n: int, ours: ReferenceMetric, peer: sacrebleu.metrics.base.Metric, at_least: float) -> Race:
    """Statistics of every segment and the value."""
    predictions, references = one_after_the_other(n)
    measured = ours.over(predictions, references)
    rows = np.array(peer._extract_corpus_statistics(predictions, [references]), dtype=np.float64)
    expected = np.column_stack([rows[:, 2:], rows[:, :2]]) if isinstance(ours, Bleu) else rows
    assert np.array_equal(measured.stats[:, :-1], expected), f"{what}: statistics differ"
    assert math.isclose(measured.value, peer.corpus_score(predictions, [references]).score, abs_tol=1e-9)
    def theirs(texts: Texts) -> object:
        return peer.corpus_score(texts[0], [texts[1]])

    return Race(what, f"{n:,} segments", lambda texts: ours.over(*texts), theirs, at_least, partial(_fresh, n))


def compare_bootstrap(n: int, n_bootstrap: int) -> Race:
    """The interval of the two differs by chance only: each within a tenth of its width of the other."""
    def ours(texts: Texts) -> tuple[float, float]:
        metric = Bleu()
        stats = metric.over(*texts).stats
        drawn = replicates(metric.aggregate, stats, finish=metric.finish, n_bootstrap=n_bootstrap, rng=np.random.default_rng(1))
        return percentile_interval(drawn)

    def peer(texts: Texts) -> sacrebleu.metrics.bleu.BLEUScore:
        return sacrebleu.BLEU().corpus_score(texts[0], [texts[1]], n_bootstrap=n_bootstrap)

    low, high = ours(one_after_the_other(n))
    theirs = peer(one_after_the_other(n))
    assert abs((high - low) / 2 - theirs._ci) < 0.1 * theirs._ci, "intervals differ"
    assert abs((high + low) / 2 - theirs._mean) < 0.1 * theirs._ci, "intervals differ"
    return Race(f"BLEU with {n_bootstrap:,} resamples", f"{n:,} segments", ours, peer, 20, partial(_fresh, n))


# ── against nltk ────────────────────────────────────────────────────────────────────────────────────────────────────


def compare_self_bleu(n: int, sampled: int) -> Race:
    """NLTK is timed on a few outputs, each against all the others, and multiplied: all of them would take most of an hour."""
    outputs = one_after_the_other(n)[0]
    tokens = [output.split() for output in outputs]
    smoothing = SmoothingFunction().method1
    chosen = np.linspace(0, n - 1, sampled, dtype=np.int64).tolist()

    def peer(_: Texts) -> list[float]:
        return [nltk_sentence_bleu(tokens[:i] + tokens[i + 1:], tokens[i], smoothing_function=smoothing) for i in chosen]

    assert np.allclose(_each(outputs)[chosen], peer(([], [])), atol=1e-12, rtol=1e-12), "self-BLEU differs"
    return Race("self-BLEU", f"{n:,} outputs", lambda texts: self_bleu(texts[0]), peer, 5000, partial(one_after_the_other, n),
                extrapolated=n / sampled, note=f"peer extrapolated from {sampled} outputs")


def _each(outputs: list[str]) -> FloatArray:
    shared = shared_ngrams(bleu_tokens(outputs, "none"), 4)
    ngrams, matches = ngram_totals(shared.lengths, 4), shared.matches(np.arange(len(outputs)))
    counts = Counts(matches, ngrams, np.maximum(ngrams, 1), shared.lengths.astype(np.float64), closest_others(shared.lengths))
    return smoothed_bleu(counts, 1, 4)


# ── memory ──────────────────────────────────────────────────────────────────────────────────────────────────────────


def memory(n: int) -> None:
    """Peak memory of the whole process, texts included, after each metric over n different pairs of about eight words."""
    words = [word for line in one_after_the_other(3004)[0] for word in line.split()]
    predictions = [" ".join(words[i % 55001 : i % 55001 + 7]) + f" {i}" for i in range(n)]
    references = [" ".join(words[i % 54979 : i % 54979 + 7]) + f" {i}" for i in range(n)]
    print(f"texts alone: {_peak():.2f} GB")
    calls = {"BLEU": lambda: Bleu().over(predictions, references), "chrF": lambda: Chrf().over(predictions, references),
             "self-BLEU": lambda: self_bleu(predictions)}
    for name, call in calls.items():
        start = time.process_time()
        call()
        print(f"{name}, {n:,} pairs: peak {_peak():.2f} GB, {time.process_time() - start:.1f} s", flush=True)


def _peak() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6
