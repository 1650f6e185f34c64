"""What a call of ``score`` wants of its input: which kind of answer, which truth beside it, and how files are to be read."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal, get_args

from harness.errors import UsageError, nearest
from harness.protocols import Metric

Family = Literal["text", "label", "ranking", "number", "likelihoods", "vectors", "tags", "ratings", "outcomes", "any"]
Form = Literal["text", "jsonl", "csv", "tsv", "trec", "conll", "npy"]

_FAMILY_OF: Mapping[str, Family] = {
    "text": "text", "label": "label", "probabilities": "label", "logprobs": "label", "ranking": "ranking", "number": "number",
    "likelihoods": "likelihoods", "vectors": "vectors", "tags": "tags", "ratings": "ratings",
    "outcomes": "outcomes",
}  # fmt: skip
_FORMS: Mapping[Family, tuple[Form, ...]] = {
    "text": ("text", "jsonl", "csv", "tsv"), "label": ("text", "jsonl", "csv", "tsv"), "ranking": ("trec", "jsonl"),
    "number": ("text", "jsonl", "csv", "tsv"), "tags": ("conll", "jsonl"), "ratings": ("csv", "jsonl", "tsv"),
    "vectors": ("npy", "jsonl"), "outcomes": ("csv", "jsonl", "tsv"),
}  # fmt: skip
_OPTIONS: Mapping[str, tuple[Family, ...]] = {
    "field": ("text", "number", "ratings"), "target": ("text", "label", "number", "tags", "vectors"),
    "label": ("label", "outcomes"), "score": ("label",), "positive": ("label",),
}  # fmt: skip
_FIELDS: Mapping[str, str] = {
    "likelihoods": "logprob and n_tokens (or an answer of type likelihoods)", "timing": "latency_s", "usage": "usage",
}  # fmt: skip
"""What a row calls the things that stand in JSON lines alone."""
_TRUTH = frozenset({"references", "target", "qrels"})


@dataclass(frozen=True, slots=True)
class Reading:
    """How files are read; what is None follows from the metrics and from what the first lines look like.

    input_format : ``text`` (a line an answer), ``jsonl``, ``csv``, ``tsv``, ``trec``, ``conll`` or ``npy``.
    field : the field or column that holds the text or the number; of ratings, the columns of the raters (``a,b,c``).
    target : the field or column that holds the truth: references of texts, targets of labels.
    label : the field or column that holds the predicted label, or the variant that a unit of an experiment got.
    score : the field or column that holds the score or probability of the positive label.
    positive : the label that scores are of; by default, of two labels, the one that sorts last.
    group : the field or column that names the cluster of a row: whole clusters are resampled then.
    ids : whether a field ``id`` says which item a row is of; else rows are taken in order.
    """

    input_format: str | None = None
    field: str | None = None
    target: str | None = None
    label: str | None = None
    score: str | None = None
    positive: str | None = None
    group: str | None = None
    ids: bool = True

    def __post_init__(self) -> None:
        forms = get_args(Form)
        if self.input_format is not None and self.input_format not in forms:
            guess = nearest(self.input_format, forms)
            hint = "" if guess is None else f"; did you mean {guess!r}?"
            raise UsageError(f"score: input format must be one of {', '.join(forms)}, got {self.input_format!r}{hint}")

    @property
    def names_columns(self) -> bool:
        """Whether a column of the predictions is named."""
        return any(name is not None for name in (self.field, self.label, self.score))


AS_IT_LOOKS = Reading()


@dataclass(frozen=True, slots=True)
class Wants:
    """The kind of answer that all metrics of a call take, and every word of their ``needs``."""

    family: Family
    needs: frozenset[str]
    who: str

    @property
    def truth(self) -> frozenset[str]:
        """What samples, not answers, must have and a file of references can give: references, target, qrels."""
        return self.needs & _TRUTH

    @property
    def about_samples(self) -> bool:
        """Whether samples must say more than their truth: contexts, slices."""
        return bool(self.needs & {"contexts", "slices"})

    @property
    def only_scores(self) -> bool:
        """Whether what is measured is probabilities (or scores) of labels and nothing else."""
        return "probabilities" in self.needs and not self.needs & {"label", "logprobs"}

    @property
    def forms(self) -> tuple[Form, ...]:
        """The forms of files that hold this kind of answer, the usual one first."""
        return _FORMS.get(self.family, ("jsonl",))

    @property
    def fields(self) -> str:
        """What rows must hold where only JSON lines will do."""
        named = [words for need, words in _FIELDS.items() if need in self.needs]
        return " and ".join(named) or "an answer"


def wants_of(metrics: Mapping[str, Metric], held: Callable[[Sequence[Family]], Family]) -> Wants:
    """What these metrics take together. Where that may be one kind of answer or another, ``held`` says which one is there.

    Raises UsageError where they need different kinds of answers.
    """
    families: dict[str, frozenset[Family]] = {}
    for spec, metric in metrics.items():
        for need in sorted(metric.needs):
            kinds = frozenset(_FAMILY_OF[word] for word in need.split("|") if word in _FAMILY_OF)
            if kinds:
                families[spec] = families.get(spec, kinds) & kinds
    possible = frozenset.intersection(*families.values()) if families else frozenset[Family]({"any"})
    if not possible:
        raise _kinds_apart(families)
    in_order: Sequence[Family] = sorted(possible)
    family = in_order[0] if len(in_order) == 1 else held(in_order)
    needs = frozenset[str]().union(*(metric.needs for metric in metrics.values()))
    return Wants(family, needs, ", ".join(metrics))


def _kinds_apart(families: Mapping[str, frozenset[Family]]) -> UsageError:
    (first, one), *others = families.items()
    second, other = next(((spec, kinds) for spec, kinds in others if not kinds & one), others[-1])
    return UsageError(f"score: {first} needs {_or([_named(kind) for kind in sorted(one)])} and {second} needs "
                      f"{_or([_named(kind) for kind in sorted(other)])}: score them in two calls")  # fmt: skip


def check_reading(wants: Wants, reading: Reading) -> None:
    """Refuse options that these metrics have no use for. Raises UsageError."""
    if reading.input_format is not None and reading.input_format not in wants.forms:
        raise UsageError(f"score: {wants.who} can be read from {_or(wants.forms)}, not from {reading.input_format}")
    for option, families in _OPTIONS.items():
        if getattr(reading, option) is not None and wants.family not in families:
            of = _or([_named(family) for family in families])
            raise UsageError(f"score: --{option} is for metrics of {of}; {wants.who} needs {_named(wants.family)}")
    if reading.target is not None and not wants.truth:
        raise UsageError(f"score: --target names references or targets, and {wants.who} needs none")
    if reading.input_format == "text" and (reading.names_columns or reading.target is not None or reading.group is not None):
        raise UsageError("score: lines of plain text have no fields: name none, or give input format jsonl, csv or tsv")


def _named(family: Family) -> str:
    return f"{family}s" if family in ("text", "label", "ranking", "number") else "outputs" if family == "any" else family


def _or(words: Sequence[str]) -> str:
    return words[0] if len(words) == 1 else f"{', '.join(words[:-1])} or {words[-1]}"
