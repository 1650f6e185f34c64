"""How answers hold up when the input is changed: samples of one ``group`` are an original and variants of it.

The original is the first sample of its group, or the one whose slice ``by`` is ``original``. Samples without a group, and
variants whose original has no answer, are missing.
"""

from __future__ import annotations

import dataclasses
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, Self

from harness.errors import MetricError, did_you_mean
from harness.metrics.groups import checked_groups, found_groups, group_of
from harness.metrics.labels import true_label
from harness.metrics.rows import Row, ratio, scores_of
from harness.protocols import Metric, PairMetric, Scope
from harness.types import FloatArray, Label, Output, Sample, Scores, Text

_SET = tuple[int, list[int]]
"""The row of an original, and those of its variants."""


@dataclass(frozen=True, repr=False)
class VariantMetric(Metric):
    """Base of the metrics of variants against their original: one value a variant, averaged; undefined without variants.

    Parameters
    ----------
    by : the slice (or field of the input) that names the kind of variant; "" if the first of a group is the original.
    original : what ``by`` is for originals.
    """

    family: ClassVar[str] = "robustness"
    needs: ClassVar[frozenset[str]] = frozenset({"label|text"})
    scope: ClassVar[Scope] = "corpus"
    columns: ClassVar[tuple[str, ...]] = ("value", "variants")

    by: str = dataclasses.field(default="", kw_only=True)
    original: str = dataclasses.field(default="original", kw_only=True)

    def prepare(self, samples: Iterable[Sample]) -> Self:
        """The same metric. Raises MetricError if no sample is in a group, or has the slice or field ``by``."""
        groups = {sample.group for sample in samples}
        if groups == {None}:
            raise MetricError(f"{self.name}: needs samples in groups, an original and its variants: name the column that tells "
                              "them apart with --group, or give group: under sample: in the task")
        if self.by:
            checked_groups(self.name, samples, self.by)
        return self

    def score(self, samples: Sequence[Sample], outputs: Sequence[Output], answers: Sequence[Output] = ()) -> Scores:
        """A row a sample: value and 1 for a variant, 0 and 0 for an original."""
        rows: list[Row] = ["the sample is in no group of variants"] * len(samples)
        for first, others in self.sets(samples, outputs):
            rows[first] = (0.0, 0.0)
            for other in others:
                rows[other] = self.variant(samples[first], outputs[first], samples[other], outputs[other])
        return scores_of(rows, 2)

    def finish(self, totals: FloatArray) -> FloatArray:
        """The mean over the variants."""
        return ratio(totals[..., 0], totals[..., 1])

    def why_undefined(self, stats: FloatArray) -> str | None:
        return "there is no variant to compare with its original" if not stats[:, 1].any() else None

    def variant(self, first: Sample, answer: Output, sample: Sample, output: Output) -> Row:
        """Value and 1 of a variant (0 and 0 where it does not count), given its original; or why it has none."""
        raise NotImplementedError(f"{type(self).__name__}.variant")

    def sets(self, samples: Sequence[Sample], outputs: Sequence[Output]) -> Iterator[_SET]:
        """The rows of each original with its variants; repeats of a sample are paired with the same repeat."""
        members: dict[tuple[str, int], list[int]] = defaultdict(list)
        for row, (sample, output) in enumerate(zip(samples, outputs, strict=True)):
            if sample.group is not None:
                members[sample.group, output.key.repeat].append(row)
        for rows in members.values():
            first = rows[0] if not self.by else next((r for r in rows if group_of(samples[r], self.by) == self.original), None)
            if first is not None:
                yield first, [row for row in rows if row != first]


@dataclass(frozen=True, repr=False)
class CounterfactualFlipRate(VariantMetric):
    """The share of variants that get another answer than their original; 0 to 1, lower is better.

    Variants change what must not matter (a name, a pronoun): a flip is unfair whichever answer is right. Texts are compared
    without case and surplus white space.
    """

    name: ClassVar[str] = "counterfactual_flip_rate"
    summary: ClassVar[str] = "share of counterfactual variants whose answer differs from the original's"
    higher_is_better: ClassVar[bool | None] = False
    formula: ClassVar[str] = "Σ [ŷ(x′) ≠ ŷ(x)] / variants"
    reference: ClassVar[str] = "hand-worked"
    paper: ClassVar[str] = "Garg et al. 2019, Counterfactual Fairness in Text Classification through Robustness"

    def variant(self, first: Sample, answer: Output, sample: Sample, output: Output) -> Row:
        return float(said(answer) != said(output)), 1.0


@dataclass(frozen=True, repr=False)
class ConsistencyUnder(VariantMetric):
    """The share of variants of one kind that keep their original's answer; 0 to 1, higher is better.

    ``consistency_under(typo,by=kind)``; without ``perturbation`` all variants count. With one and without ``by``, the kind
    is the only slice of a sample, and the first of a group is the original.
    """

    name: ClassVar[str] = "consistency_under"
    summary: ClassVar[str] = "share of perturbed inputs whose answer stays that of the original"
    formula: ClassVar[str] = "Σ [ŷ(x′) = ŷ(x)] / variants of that perturbation"
    reference: ClassVar[str] = "hand-worked"
    paper: ClassVar[str] = "Ribeiro et al. 2020, Beyond Accuracy: CheckList (invariance tests)"

    perturbation: str = ""

    def prepare(self, samples: Iterable[Sample]) -> Self:
        """The same metric. Raises MetricError as others of its family, and if no sample is of that perturbation."""
        super().prepare(samples)
        kinds = found_groups(samples, self.by)
        if self.perturbation and self.perturbation not in kinds and any(True for _ in samples):
            hint = did_you_mean(self.perturbation, kinds) if kinds else "; name the slice or field that holds it with by="
            raise MetricError(f"{self.name}: perturbation must be one of the samples', got {self.perturbation!r}{hint}")
        return self

    def variant(self, first: Sample, answer: Output, sample: Sample, output: Output) -> Row:
        if self.perturbation and group_of(sample, self.by) != self.perturbation:
            return 0.0, 0.0
        return float(said(answer) == said(output)), 1.0


@dataclass(frozen=True, repr=False)
class PromptSensitivity(VariantMetric):
    """How likely two phrasings of one item get different answers; 0 to 1, lower is better.

    For each row the share of the other rows of its group with another answer, averaged over all rows: with k phrasings and
    shares p of the answers the mean over a group is (1 − Σ p²) · k / (k − 1). Groups of one say nothing.
    """

    name: ClassVar[str] = "prompt_sensitivity"
    summary: ClassVar[str] = "chance that two phrasings of one item get different answers"
    higher_is_better: ClassVar[bool | None] = False
    formula: ClassVar[str] = "mean over rows of [other rows of the group with another answer] / (k − 1)"
    reference: ClassVar[str] = "hand-worked"
    paper: ClassVar[str] = "Simpson 1949, Measurement of Diversity (unbiased estimator), over the answers to one item"

    def score(self, samples: Sequence[Sample], outputs: Sequence[Output], answers: Sequence[Output] = ()) -> Scores:
        rows: list[Row] = ["the sample is in no group of variants"] * len(samples)
        for first, others in self.sets(samples, outputs):
            group = [first, *others]
            for row in group:
                apart = sum(said(outputs[other]) != said(outputs[row]) for other in group)
                rows[row] = (apart / (len(group) - 1), 1.0) if len(group) > 1 else "the only one of its group"
        return scores_of(rows, 2)


@dataclass(frozen=True, repr=False)
class AttackSuccessRate(VariantMetric):
    """The share of attacked inputs that are answered wrongly, of those whose original was right; 0 to 1, lower is better."""

    name: ClassVar[str] = "attack_success_rate"
    summary: ClassVar[str] = "share of right answers that an attack turns into wrong ones"
    needs: ClassVar[frozenset[str]] = frozenset({"label", "target"})
    higher_is_better: ClassVar[bool | None] = False
    formula: ClassVar[str] = "Σ [ŷ(x) = y and ŷ(x′) ≠ y] / Σ [ŷ(x) = y], over attacked x′"
    reference: ClassVar[str] = "hand-worked"
    paper: ClassVar[str] = "Morris et al. 2020, TextAttack"

    def variant(self, first: Sample, answer: Output, sample: Sample, output: Output) -> Row:
        wanted, now = true_label(first), true_label(sample)
        if wanted is None or now is None:
            return "the sample has no target"
        if said(answer) != wanted:
            return 0.0, 0.0
        return float(said(output) != now), 1.0


@dataclass(frozen=True, repr=False)
class PerturbationSize(VariantMetric):
    """How much of the input a variant changes: edits over the longer text, 0 (none) to 1, averaged over the variants.

    ``field`` names the text of the input. Levenshtein distance in characters.
    """

    name: ClassVar[str] = "perturbation_size"
    summary: ClassVar[str] = "normalised edit distance of variants to their originals' inputs"
    needs: ClassVar[frozenset[str]] = frozenset()
    higher_is_better: ClassVar[bool | None] = None
    formula: ClassVar[str] = "mean of levenshtein(x, x′) / max(|x|, |x′|)"
    reference: ClassVar[str] = "rapidfuzz 3 Levenshtein.normalized_distance"
    paper: ClassVar[str] = "Levenshtein 1966"

    field: str = "text"

    def variant(self, first: Sample, answer: Output, sample: Sample, output: Output) -> Row:
        from rapidfuzz.distance import Levenshtein

        before, after = first.input.get(self.field), sample.input.get(self.field)
        if not isinstance(before, str) or not isinstance(after, str):
            return f"the input has no text {self.field!r}"
        return float(Levenshtein.normalized_distance(before, after)), 1.0


@dataclass(frozen=True, repr=False)
class AccuracyDrop(PairMetric):
    """Accuracy of the first system minus that of the second on the same samples; -1 to 1, no direction is better by itself.

    Typically one model on clean inputs and the same model on perturbed ones of the same ids.
    """

    name: ClassVar[str] = "accuracy_drop"
    summary: ClassVar[str] = "accuracy on one set of outputs minus accuracy on the other, same samples"
    family: ClassVar[str] = "robustness"
    needs: ClassVar[frozenset[str]] = frozenset({"label", "target"})
    higher_is_better: ClassVar[bool | None] = None
    bounds: ClassVar[tuple[float | None, float | None]] = (-1.0, 1.0)
    columns: ClassVar[tuple[str, ...]] = ("hit", "other_hit", "rows")
    formula: ClassVar[str] = "(Σ [ŷ_a = y] − Σ [ŷ_b = y]) / n"
    reference: ClassVar[str] = "hand-worked"
    paper: ClassVar[str] = "Hendrycks and Dietterich 2019, Benchmarking Neural Network Robustness"

    def score_pair(self, samples: Sequence[Sample], outputs: Sequence[Output], others: Sequence[Output]) -> Scores:
        return scores_of((self._row(*row) for row in zip(samples, outputs, others, strict=True)), 3)

    def finish(self, totals: FloatArray) -> FloatArray:
        return ratio(totals[..., 0] - totals[..., 1], totals[..., 2])

    def _row(self, sample: Sample, output: Output, other: Output) -> Row:
        target = true_label(sample)
        if target is None:
            return "the sample has no target"
        return float(said(output) == target), float(said(other) == target), 1.0


def said(output: Output) -> str | None:
    """What was answered, as it is compared: the label, or the text without case and surplus white space."""
    answer = output.answer
    if isinstance(answer, Label):
        return answer.label
    return " ".join(answer.text.casefold().split()) if isinstance(answer, Text) else repr(answer)


# ── plain functions ─────────────────────────────────────────────────────────────────────────────────────────────────


def counterfactual_flip_rate(originals: Sequence[Any], variants: Sequence[Sequence[Any]]) -> float:
    """The share of variants with another label than their original; ``variants[i]`` are those of ``originals[i]``.

    >>> counterfactual_flip_rate(["yes", "no"], [["yes", "no"], ["no", "no"]])
    0.25
    """
    _same_length("counterfactual_flip_rate", originals, variants)
    flips = [other != first for first, others in zip(originals, variants) for other in others]
    return sum(flips) / len(flips) if flips else float("nan")


def consistency_under(originals: Sequence[Any], variants: Sequence[Sequence[Any]]) -> float:
    """The share of variants with the label of their original; 1 minus the flip rate.

    >>> consistency_under(["yes", "no"], [["yes", "no"], ["no", "no"]])
    0.75
    """
    return 1.0 - counterfactual_flip_rate(originals, variants)


def prompt_sensitivity(answers: Sequence[Sequence[Any]]) -> float:
    """How likely two phrasings of one item get different answers; ``answers[i]`` are those to the phrasings of item i.

    >>> prompt_sensitivity([["a", "a", "b"], ["a", "a", "a"]])
    0.3333333333333333
    """
    rows = [sum(other != one for other in item) / (len(item) - 1) for item in answers if len(item) > 1 for one in item]
    return sum(rows) / len(rows) if rows else float("nan")


def attack_success_rate(y_true: Sequence[Any], clean: Sequence[Any], attacked: Sequence[Any]) -> float:
    """The share of right answers that an attack turns into wrong ones; NaN where none was right.

    >>> attack_success_rate([1, 1, 0], [1, 1, 1], [0, 1, 1])
    0.5
    """
    _same_length("attack_success_rate", y_true, clean)
    _same_length("attack_success_rate", y_true, attacked)
    turned = [after != target for target, before, after in zip(y_true, clean, attacked) if before == target]
    return sum(turned) / len(turned) if turned else float("nan")


def accuracy_drop(y_true: Sequence[Any], first: Sequence[Any], second: Sequence[Any]) -> float:
    """Accuracy of the first predictions minus that of the second.

    >>> accuracy_drop([1, 0, 1, 1], [1, 0, 1, 0], [1, 1, 0, 0])
    0.5
    """
    _same_length("accuracy_drop", y_true, first)
    _same_length("accuracy_drop", y_true, second)
    gained = [(a == target) - (b == target) for target, a, b in zip(y_true, first, second)]
    return sum(gained) / len(gained) if gained else float("nan")


def perturbation_size(originals: Sequence[str], variants: Sequence[str]) -> float:
    """The mean normalised edit distance of texts to their originals.

    >>> perturbation_size(["abcd"], ["abcx"])
    0.25
    """
    from rapidfuzz.distance import Levenshtein

    _same_length("perturbation_size", originals, variants)
    sizes = [Levenshtein.normalized_distance(first, other) for first, other in zip(originals, variants)]
    return sum(sizes) / len(sizes) if sizes else float("nan")


def _same_length(name: str, one: Sequence[Any], other: Sequence[Any] | Mapping[str, Any]) -> None:
    if len(one) != len(other):
        raise MetricError(f"{name}: both lists must be equally long, got {len(one)} and {len(other)}")
