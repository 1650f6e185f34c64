"""NER F1 of 100,000 sentences against seqeval, default and strict, results equal before anything is timed.

The sentences are made from WNUT-17: its 1,287 gold sentences with the tags of four systems, taken round and round; in every
round a sentence is turned by another offset, and 8 % of its tags (gold and predicted, each by themselves) are replaced, half of
them by O and half by a tag of an entity, as often as the corpus has it.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import seqeval.metrics
import seqeval.scheme

import harness.metrics.tagging as ours
from harness.data.conll import read_conll
from harness.types import Key, Output, Sample, Tags
from tests.bench.timing import Race
from tests.bench.wmt17 import DATA as SHARED

SYSTEMS = ("uh_ritual", "spinningbytes.txt", "arcada", "drexel_cci")
DATA = SHARED / "wnut17"
Sentences = list[list[str]]


def races() -> Iterator[Race]:
    n = 100_000
    true, predicted = made_up(n)
    distinct = len({(*gold, "/", *tags) for gold, tags in zip(true, predicted)})
    sizes = f"{n:,} sentences, {distinct:,} distinct"
    warnings.simplefilter("ignore")
    samples = [Sample(str(row), target=tags) for row, tags in enumerate(true)]
    outputs = [Output(Key(str(row)), Tags(tuple(tags))) for row, tags in enumerate(predicted)]

    def metric(mode: ours.Mode, average: ours.Average) -> Callable[[Any], float]:
        def value(_: Any) -> float:
            scores = ours.NerF1("BIO", mode, average).score(samples, outputs)
            return float(scores.bound.aggregate(scores.stats, np.ones((1, n)))[0])

        return value

    def peer(average: str, **options: object) -> Callable[[Any], float]:
        return lambda _: float(seqeval.metrics.f1_score(true, predicted, average=average, **options))

    strict = {"mode": "strict", "scheme": seqeval.scheme.IOB2}
    rows = [("ner_f1, function", lambda _: ours.ner_f1(true, predicted), peer("micro")),
            ("ner_f1, Metric", metric("default", "micro"), peer("micro")),
            ("ner_f1(average=macro), Metric", metric("default", "macro"), peer("macro")),
            ("ner_f1(mode=strict), Metric", metric("strict", "micro"), peer("micro", **strict))]
    for what, mine, theirs in rows:
        assert abs(mine(None) - theirs(None)) < 1e-9, what
        yield Race(what, sizes, mine, theirs, 10)


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
