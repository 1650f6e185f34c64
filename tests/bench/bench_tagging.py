"""NER F1 of 100,000 sentences against seqeval, default and strict, results equal before anything is timed.

The sentences are made from WNUT-17: its 1,287 gold sentences with the tags of four systems, taken round and round; in every
round a sentence is turned by another offset, and 8 % of its tags (gold and predicted, each by themselves) are replaced, half of
them by O and half by a tag of an entity, as often as the corpus has it.

Run from the project root: ``python -m tests.bench.bench_tagging [sentences]``.
"""

from __future__ import annotations

import os
import sys
import time
import warnings
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np

import harness.metrics.tagging as ours
from harness.data.conll import read_conll
from harness.types import Key, Output, Sample, Tags

SYSTEMS = ("uh_ritual", "spinningbytes.txt", "arcada", "drexel_cci")
DATA = Path(os.environ.get("HARNESS_SHARED_DATA", Path(__file__).resolve().parents[3] / "shared" / "data")) / "wnut17"
Sentences = list[list[str]]


def main() -> None:
    n = int(sys.argv[1]) if len(sys.argv) > 1 else 100_000
    true, predicted = made_up(n)
    distinct = len({(*gold, "/", *tags) for gold, tags in zip(true, predicted)})
    tokens = sum(map(len, true))
    print(f"{n:,} sentences, {distinct:,} of them distinct, {tokens:,} tokens")
    print("what | sizes | ours s | peer s | ratio | ours cpu s | peer cpu s | ratio")
    import seqeval.metrics
    import seqeval.scheme

    warnings.simplefilter("ignore")
    strict = {"mode": "strict", "scheme": seqeval.scheme.IOB2}
    samples = [Sample(str(row), target=tags) for row, tags in enumerate(true)]
    outputs = [Output(Key(str(row)), Tags(tuple(tags))) for row, tags in enumerate(predicted)]

    def metric(mode: ours.Mode, average: ours.Average) -> Callable[[], float]:
        def value() -> float:
            scores = ours.NerF1("BIO", mode, average).score(samples, outputs)
            return float(scores.bound.aggregate(scores.stats, np.ones((1, n)))[0])

        return value

    def peer(average: str, **options: object) -> Callable[[], float]:
        return lambda: float(seqeval.metrics.f1_score(true, predicted, average=average, **options))

    compare("ner_f1, function", n, lambda: ours.ner_f1(true, predicted), peer("micro"))
    compare("ner_f1, Metric", n, metric("default", "micro"), peer("micro"))
    compare("ner_f1(average=macro), Metric", n, metric("default", "macro"), peer("macro"))
    compare("ner_f1(mode=strict), Metric", n, metric("strict", "micro"), peer("micro", **strict))


def made_up(n: int, seed: int = 0) -> tuple[Sentences, Sentences]:
    """Gold and predicted tags of n sentences."""
    gold = tags_of(DATA / "emerging.test.annotated")
    systems = [tags_of(DATA / "submissions" / system) for system in SYSTEMS]
    pool = [tag for sentence in gold for tag in sentence if tag != "O"]
    rng = np.random.default_rng(seed)
    true: Sentences = []
    predicted: Sentences = []
    for row in range(n):
        base, turn = row % len(gold), row // len(gold)
        for out, source in ((true, gold), (predicted, systems[turn % len(systems)])):
            tags = source[base]
            offset = turn % len(tags)
            out.append(perturbed(tags[offset:] + tags[:offset], pool, rng))
    return true, predicted


def perturbed(tags: Sequence[str], pool: Sequence[str], rng: np.random.Generator) -> list[str]:
    """The tags with 8 % of them replaced."""
    changed = list(tags)
    for position in np.flatnonzero(rng.random(len(tags)) < 0.08).tolist():
        changed[position] = "O" if rng.random() < 0.5 else pool[int(rng.integers(len(pool)))]
    return changed


def tags_of(path: Path) -> Sentences:
    return [list(row["tags"]) for _, row in read_conll(path)]


def compare(what: str, n: int, mine: Callable[[], float], theirs: Callable[[], float]) -> None:
    """Best of 4 runs of ours and 2 of the peer's, one after the other in turns, after both gave the same value."""
    a, b = mine(), theirs()
    assert abs(a - b) < 1e-9, f"{what}: {a} and {b}"
    runs = [timed(mine) for _ in range(2)], [timed(theirs)]
    runs[0].extend(timed(mine) for _ in range(2))
    runs[1].append(timed(theirs))
    (wall, cpu), (peer_wall, peer_cpu) = (map(min, zip(*side)) for side in runs)
    print(f"{what} | {n:,} | {wall:.3f} | {peer_wall:.3f} | {peer_wall / wall:.1f}x"
          f" | {cpu:.3f} | {peer_cpu:.3f} | {peer_cpu / cpu:.1f}x", flush=True)


def timed(run: Callable[[], float]) -> tuple[float, float]:
    wall, cpu = time.perf_counter(), time.process_time()
    run()
    return time.perf_counter() - wall, time.process_time() - cpu


if __name__ == "__main__":
    main()
