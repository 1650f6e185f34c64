"""BLEU, chrF, bootstrap and self-BLEU against sacrebleu and nltk on real text: ``python -m tests.bench.bench_bleu``.

Equal statistics of every segment come before timing. Both sides start cold: texts are read afresh and sacrebleu's caches of
lines are emptied before every run. ``--memory`` prints the peak memory of BLEU, chrF and self-BLEU of a million pairs.
"""

from __future__ import annotations

import argparse
import functools
import gc
import math
import os
import resource
import statistics
import time
from collections.abc import Callable
from pathlib import Path
from typing import TypeAlias

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

ROOT = Path(__file__).resolve().parents[2]
SYSTEMS = ("C-3MA.4959", "KIT.4950", "LIUM-NMT.4900", "LMU-nmt-reranked.4934", "SYSTRAN.4847", "online-A.0", "online-F.0",
           "uedin-nmt.4722")
ROUNDS = 3
Texts: TypeAlias = tuple[list[str], list[str]]


def pairs(n: int) -> Texts:
    """The first n of the eight systems one after the other, each beside the reference; read afresh."""
    folder = Path(os.environ.get("HARNESS_SHARED_DATA", ROOT.parent / "shared" / "data")) / "wmt17_ende"
    outputs = [line for system in SYSTEMS for line in _lines(folder / f"newstest2017.{system}.en-de.txt")]
    references = [line for _ in SYSTEMS for line in _lines(folder / "reference.de.txt")]
    return outputs[:n], references[:n]


def _lines(path: Path) -> list[str]:
    return path.read_bytes().decode("utf-8").split("\n")[:-1]


def fastest(call: Callable[[Texts], object], n: int) -> tuple[float, float]:
    """Wall and processor seconds of one run on texts that nobody has seen."""
    for cached in (tokenizer_13a.Tokenizer13a.__call__, tokenizer_re.TokenizerRegexp.__call__,
                   extract_all_char_ngrams, extract_word_ngrams):
        if isinstance(cached, functools._lru_cache_wrapper):
            cached.cache_clear()
    texts = pairs(n)
    gc.collect()
    wall, processor = time.perf_counter(), time.process_time()
    call(texts)
    return time.perf_counter() - wall, time.process_time() - processor


def row(what: str, n: int, ours: Callable[[Texts], object], peer: Callable[[Texts], object], *, peer_rounds: int = 2) -> None:
    """Alternating runs, the best of each; prints a line."""
    mine, theirs = [], []
    for turn in range(ROUNDS):
        mine.append(fastest(ours, n))
        if turn < peer_rounds:
            theirs.append(fastest(peer, n))
    (wall, cpu), (peer_wall, peer_cpu) = (tuple(map(min, zip(*runs))) for runs in (mine, theirs))
    print(f"{what} | {n:,} segments | {wall:.3f} ({cpu:.3f}) | {peer_wall:.2f} ({peer_cpu:.2f}) | "
          f"{peer_wall / wall:.1f}x ({peer_cpu / cpu:.1f}x)", flush=True)


# ── against sacrebleu ───────────────────────────────────────────────────────────────────────────────────────────────


def compare(what: str, n: int, ours: ReferenceMetric, peer: sacrebleu.metrics.base.Metric) -> None:
    """Statistics of every segment and the value."""
    predictions, references = pairs(n)
    measured = ours.over(predictions, references)
    rows = np.array(peer._extract_corpus_statistics(predictions, [references]), dtype=np.float64)
    expected = np.column_stack([rows[:, 2:], rows[:, :2]]) if isinstance(ours, Bleu) else rows
    assert np.array_equal(measured.stats[:, :-1], expected), f"{what}: statistics differ"
    assert math.isclose(measured.value, peer.corpus_score(predictions, [references]).score, abs_tol=1e-9)
    row(what, n, lambda texts: ours.over(*texts), lambda texts: peer.corpus_score(texts[0], [texts[1]]))


def compare_bootstrap(n: int, n_bootstrap: int) -> None:
    """The interval of the two differs by chance only: each within a tenth of its width of the other."""
    def ours(texts: Texts) -> tuple[float, float]:
        metric = Bleu()
        stats = metric.over(*texts).stats
        drawn = replicates(metric.aggregate, stats, finish=metric.finish, n_bootstrap=n_bootstrap, rng=np.random.default_rng(1))
        return percentile_interval(drawn)

    def peer(texts: Texts) -> sacrebleu.metrics.bleu.BLEUScore:
        return sacrebleu.BLEU().corpus_score(texts[0], [texts[1]], n_bootstrap=n_bootstrap)

    low, high = ours(pairs(n))
    theirs = peer(pairs(n))
    assert abs((high - low) / 2 - theirs._ci) < 0.1 * theirs._ci, "intervals differ"
    assert abs((high + low) / 2 - theirs._mean) < 0.1 * theirs._ci, "intervals differ"
    row(f"BLEU with {n_bootstrap:,} resamples", n, ours, peer)


# ── against nltk ────────────────────────────────────────────────────────────────────────────────────────────────────


def compare_self_bleu(n: int, sampled: int) -> None:
    """NLTK is timed on a few outputs, each against all the others, and multiplied: all of them would take most of an hour."""
    outputs = pairs(n)[0]
    tokens = [output.split() for output in outputs]
    smoothing = SmoothingFunction().method1
    chosen = np.linspace(0, n - 1, sampled, dtype=np.int64).tolist()
    seconds, expected = [], []
    for i in chosen:
        start = time.process_time()
        expected.append(nltk_sentence_bleu(tokens[:i] + tokens[i + 1:], tokens[i], smoothing_function=smoothing))
        seconds.append(time.process_time() - start)
    assert np.allclose(_each(outputs)[chosen], expected, atol=1e-12, rtol=1e-12), "self-BLEU differs"
    mine = [fastest(lambda texts: self_bleu(texts[0]), n) for _ in range(ROUNDS)]
    wall, cpu = map(min, zip(*mine))
    whole = statistics.mean(seconds) * n
    print(f"self-BLEU | {n:,} outputs | {wall:.3f} ({cpu:.3f}) | {whole:.0f} extrapolated from {sampled} outputs | "
          f"{whole / cpu:,.0f}x", flush=True)


def _each(outputs: list[str]) -> FloatArray:
    shared = shared_ngrams(bleu_tokens(outputs, "none"), 4)
    ngrams, matches = ngram_totals(shared.lengths, 4), shared.matches(np.arange(len(outputs)))
    counts = Counts(matches, ngrams, np.maximum(ngrams, 1), shared.lengths.astype(np.float64), closest_others(shared.lengths))
    return smoothed_bleu(counts, 1, 4)


# ── memory ──────────────────────────────────────────────────────────────────────────────────────────────────────────


def memory(n: int) -> None:
    """Peak memory of the whole process, texts included, after each metric over n different pairs of about eight words."""
    words = [word for line in pairs(3004)[0] for word in line.split()]
    predictions = [" ".join(words[i % 55001:][:7]) + f" {i}" for i in range(n)]
    references = [" ".join(words[i % 54979:][:7]) + f" {i}" for i in range(n)]
    print(f"texts alone: {_peak():.2f} GB")
    calls = {"BLEU": lambda: Bleu().over(predictions, references), "chrF": lambda: Chrf().over(predictions, references),
             "self-BLEU": lambda: self_bleu(predictions)}
    for name, call in calls.items():
        start = time.process_time()
        call()
        print(f"{name}, {n:,} pairs: peak {_peak():.2f} GB, {time.process_time() - start:.1f} s", flush=True)


def _peak() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--memory", action="store_true", help="peak memory over 1,000,000 pairs instead of times")
    if parser.parse_args().memory:
        memory(1_000_000)
        return
    print("what | sizes | ours s (cpu) | peer s (cpu) | ratio (cpu)")
    compare("corpus BLEU 13a", 24032, Bleu(), sacrebleu.BLEU())
    compare("chrF", 12000, Chrf(), sacrebleu.CHRF())
    compare("chrF++", 12000, Chrf(word_order=2), sacrebleu.CHRF(word_order=2))
    compare_bootstrap(24032, 1000)
    compare_self_bleu(5000, 12)


if __name__ == "__main__":
    main()
