"""CIDEr and CIDEr-D: tf-idf weighted n-grams shared with several references, as image captions are scored."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import ClassVar, Literal, TypeAlias

import numpy as np

from harness.metrics.references import MeanOverReferences, Measured, References
from harness.types import FloatArray, Output, Sample, Scores

Variant = Literal["cider_d", "cider"]
NGram: TypeAlias = tuple[str, ...]

_SCALE = 10.0


@dataclass(frozen=True, slots=True)
class Frequencies:
    """In how many samples' references an n-gram is, and of how many samples."""

    documents: Mapping[NGram, int]
    n: int


@dataclass(frozen=True, slots=True)
class _Vector:
    """tf-idf weights of a text's n-grams and their Euclidean norm, by order; and its words."""

    weights: tuple[Mapping[NGram, float], ...]
    norms: tuple[float, ...]
    length: int


@dataclass(frozen=True, repr=False)
class Cider(MeanOverReferences):
    """Cosine of the tf-idf vectors of n-grams with each reference's, averaged over references and orders, times 10. Range 0–10,
    higher is better. The value is the mean over samples.

    The weight of an n-gram is its count times log(samples / samples whose references have it); one that no reference has
    counts as if one sample had it. What is counted are the references of all samples, learned once before scoring.

    Parameters
    ----------
    n : the longest n-gram.
    sigma : width of CIDEr-D's penalty for a difference in length, exp(−Δ² / (2 σ²)).
    variant : ``cider_d``: each weight of the prediction counts at most as the reference's, and differences in length are
        penalised; this is what pycocoevalcap and nlg-eval print as "CIDEr". ``cider``: the plain cosine of the paper's
        equation 2, without both (``sigma`` has no effect).

    Words are what white space separates, as they are: pycocoevalcap's users lower-case and strip punctuation before. One
    sample alone scores 0: its n-grams are in all samples, log 1 = 0. No rows: NaN.

    Statistics: ``score`` and 1, a row a sample. Vedantam, Zitnick & Parikh 2015. ``cider_d`` equals pycocoevalcap's ``Cider``.

    >>> round(Cider().over(["a cat sat", "two dogs ran off"], [["a cat sat", "the cat sat"], ["two dogs ran"]]).value, 4)
    5.55
    """

    n: int = 4
    sigma: float = 6.0
    variant: Variant = "cider_d"
    frequencies: Frequencies | None = field(default=None, repr=False, compare=False)

    name: ClassVar[str] = "cider"
    summary: ClassVar[str] = "consensus with several references in tf-idf weighted n-grams, 0–10 (CIDEr-D, or plain CIDEr)"
    bounds: ClassVar[tuple[float | None, float | None]] = (0.0, 10.0)
    columns: ClassVar[tuple[str, ...]] = ("score", "n")
    formula: ClassVar[str] = "10 · mean over n and references of exp(−Δ²/(2σ²)) · min(g, r)·r / (|g|·|r|), tf-idf vectors g, r"
    reference: ClassVar[str] = "pycocoevalcap 1.2 cider.Cider (variant=cider_d)"
    paper: ClassVar[str] = "Vedantam, Zitnick & Parikh 2015, CIDEr: Consensus-based Image Description Evaluation"

    def __post_init__(self) -> None:
        self.require(self.n >= 1, "n", "a positive integer")
        self.require(0 < self.sigma < float("inf"), "sigma", "above 0 and finite")
        self.require(self.variant in ("cider_d", "cider"), "variant", "cider_d or cider")

    def prepare(self, samples: Iterable[Sample]) -> Cider:
        return self._learned(sample.references for sample in samples if sample.references)

    def score(self, samples: Sequence[Sample], outputs: Sequence[Output], answers: Sequence[Output] = ()) -> Scores:
        """Statistics of these rows. Not prepared, it takes these samples for all that there are."""
        prepared = self if self.frequencies is not None else self.prepare({sample.id: sample for sample in samples}.values())
        return super(Cider, prepared).score(samples, outputs, answers)

    def over(self, predictions: Sequence[str], references: References) -> Measured:
        several = self._checked(predictions, references)
        prepared = self if self.frequencies is not None else self._learned(several)
        return super(Cider, prepared).over(predictions, references)

    def statistics(self, predictions: Sequence[str], references: Sequence[Sequence[str]]) -> FloatArray:
        known = self.frequencies or self._learned(references).frequencies or Frequencies({}, 0)
        scores = [self._score(prediction, item, known) for prediction, item in zip(predictions, references)]
        return np.column_stack([np.array(scores, dtype=np.float64), np.ones(len(scores))])

    def _learned(self, references: Iterable[Sequence[str]]) -> Cider:
        documents: Counter[NGram] = Counter()
        n = 0
        for item in references:
            documents.update({ngram for text in item for ngram in _ngrams(text, self.n)})
            n += 1
        return replace(self, frequencies=Frequencies(documents, n))

    def _score(self, prediction: str, references: Sequence[str], known: Frequencies) -> float:
        ours = _vector(prediction, self.n, known)
        total = sum(self._similarity(ours, _vector(reference, self.n, known)) for reference in references)
        return _SCALE * total / self.n / len(references)

    def _similarity(self, ours: _Vector, theirs: _Vector) -> float:
        """Sum over orders."""
        total = 0.0
        for mine, other, my_norm, other_norm in zip(ours.weights, theirs.weights, ours.norms, theirs.norms):
            if my_norm and other_norm:
                shared = mine.keys() & other.keys()
                clipped = self.variant == "cider_d"
                dot = sum((min(mine[gram], other[gram]) if clipped else mine[gram]) * other[gram] for gram in shared)
                total += dot / (my_norm * other_norm)
        if self.variant == "cider_d":
            total *= math.exp(-((ours.length - theirs.length) ** 2) / (2 * self.sigma ** 2))
        return total


def cider(predictions: Sequence[str], references: References, *, n: int = 4, sigma: float = 6.0,
          variant: Variant = "cider_d") -> float:
    """Mean CIDEr of the predictions, 0–10; see :class:`Cider`. ``references[i]`` is item i's reference or the list of them.

    NaN for empty lists.

    >>> cider(["red", "blue"], ["red", "green"], n=1)
    5.0
    """
    return Cider(n, sigma, variant).over(predictions, references).value


def _ngrams(text: str, n: int) -> Counter[NGram]:
    words = text.split()
    return Counter(tuple(words[i:i + order]) for order in range(1, n + 1) for i in range(len(words) - order + 1))


def _vector(text: str, n: int, known: Frequencies) -> _Vector:
    weights: tuple[dict[NGram, float], ...] = tuple({} for _ in range(n))
    for ngram, count in _ngrams(text, n).items():
        weights[len(ngram) - 1][ngram] = count * (math.log(known.n) - math.log(known.documents.get(ngram, 1)))
    norms = tuple(math.sqrt(sum(weight * weight for weight in order.values())) for order in weights)
    return _Vector(weights, norms, len(text.split()))
