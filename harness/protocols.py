"""What a plug-in promises: Metric, PairMetric, Calibrator, Suite, Backend, Retriever, Encoder."""

from __future__ import annotations

import dataclasses
import hashlib
from collections.abc import Callable, Generator, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, ClassVar, Literal, Protocol, TypeVar, runtime_checkable

import numpy as np
from numpy.typing import NDArray

from harness.errors import MetricError
from harness.specs import write_spec
from harness.types import (
    Answer,
    Call,
    Corpus,
    FloatArray,
    Key,
    Output,
    Request,
    Sample,
    Scores,
    Table,
)

Interval = Literal["wilson", "bootstrap", "delta", "jackknife", "subsample", "none"]
Scope = Literal["sample", "corpus"]
Cacheable = Literal["always", "versioned", "never"]
Play = Generator[Request, Output, Answer]
M = TypeVar("M", bound="Metric")


@dataclass(frozen=True, repr=False)
class Metric:
    """A metric: a page of declaration and one pure function. Its dataclass fields ARE its parameters.

    A subclass sets the class variables below, implements :meth:`score`, and one of :meth:`finish` (additive statistics:
    the value is a function of their weighted sums) or :meth:`aggregate` (everything else). Estimates, paired tests and
    slices follow from these few lines and no text is scored twice.

    Class variables
    ---------------
    name : what a user writes. A name that ends in ``@k`` takes its ``k`` field there: ``recall@10``.
    version : raised by every change that moves a value.
    family : the section of the catalogue.
    summary : one line for ``harness list metrics``.
    needs : what samples and answers must have, out of ``text references target choices label probabilities logprobs
        likelihoods ranking qrels number vectors tags ratings outcomes contexts slices timing usage``; ``a|b``: one of the two.
    higher_is_better, bounds, unit : direction, closed range (None = unbounded on that side), unit of the value.
    interval : how the interval is made. ``wilson`` only where every row is a hit or a miss; ``bootstrap`` is what covers best
        (a score interval between two finite bounds, else BCa); ``subsample`` where duplicates distort the value; see
        :func:`harness.stats.estimate.estimate`.
    columns : names of the columns of ``Scores.stats``.
    aliases : other names, with the parameters that they stand for.
    scope : ``sample`` if chunks of samples can be scored one by one, ``corpus`` if all are needed at once.
    function : the plain function beside it, where that has another name than the metric.
    example : a spec that can be typed, for a metric that its name alone does not make (``group_gap(accuracy)``).
    order_matters : the value depends on the order of the rows (Elo), so that equal ones are never counted together.
    fits_outputs : something is fitted to the outputs, so that those of two systems are never scored in one call.
    sees_errors : it is handed failed outputs too (those with ``error``): rates of errors are about them.
    formula : the value in one line, as one would write it on a board.
    reference : the implementation that it equals, with the function's name, or ``hand-worked``.
    paper : authors, year and title (or where it was published).
    """

    name: ClassVar[str]
    version: ClassVar[int] = 1
    family: ClassVar[str] = ""
    summary: ClassVar[str] = ""
    needs: ClassVar[frozenset[str]] = frozenset()
    higher_is_better: ClassVar[bool | None] = True
    bounds: ClassVar[tuple[float | None, float | None]] = (0.0, 1.0)
    unit: ClassVar[str] = ""
    interval: ClassVar[Interval] = "bootstrap"
    columns: ClassVar[tuple[str, ...]] = ()
    aliases: ClassVar[Mapping[str, Mapping[str, Any]]] = {}
    scope: ClassVar[Scope] = "sample"
    function: ClassVar[str] = ""
    example: ClassVar[str] = ""
    order_matters: ClassVar[bool] = False
    fits_outputs: ClassVar[bool] = False
    sees_errors: ClassVar[bool] = False
    formula: ClassVar[str] = ""
    reference: ClassVar[str] = ""
    paper: ClassVar[str] = ""

    def for_language(self: M, language: str) -> M:
        """The metric as a task in this language means it (``en``, ``de``, ``zh-Hant``); parameters that were given stay."""
        return self

    def warnings(self) -> tuple[str, ...]:
        """After :meth:`prepare`: what the user should know of this metric on these samples."""
        return ()

    def needs_roles(self) -> Mapping[str, type]:
        """Models that must be opened before it: role → the request type that it must give. A role with a colon in its name is
        the source of a sentence encoder (``path:…``, ``hub:…``, ``pypi:…``)."""
        return {}

    def open(self: M, roles: Mapping[str, Backend]) -> M:
        """Once per task, before :meth:`prepare`: a copy that holds the models it asked for; the caller closes them."""
        return self

    def prepare(self: M, samples: Iterable[Sample]) -> M:
        """Once per task, before scoring: return a copy that knows the label set, the vocabulary, …"""
        return self

    def score(self, samples: Sequence[Sample], outputs: Sequence[Output], answers: Sequence[Output] = ()) -> Scores:
        """Statistics of these rows. Pure; ``outputs[i]`` belongs to ``samples[i]`` and has no ``error`` (see sees_errors)."""
        raise NotImplementedError(f"{type(self).__name__}.score")

    def finish(self, totals: FloatArray) -> FloatArray:
        """Values from weighted sums of the statistics: ``float64[..., d] -> float64[...]``; NaN where undefined."""
        raise NotImplementedError(f"{type(self).__name__}.finish")

    def aggregate(self, stats: FloatArray, weights: FloatArray) -> FloatArray:
        """Values under each row of weights: ``float64[n, d], float64[B, n] -> float64[B]``; NaN where undefined."""
        return self.finish(weights @ stats)

    def for_weights(self, stats: FloatArray) -> Callable[[FloatArray], FloatArray] | None:
        """:meth:`aggregate` with everything done that does not depend on the weights (sorting, say), as a function of the
        weights; None where there is no such thing. It is what a bootstrap calls again and again."""
        return None

    def why_undefined(self, stats: FloatArray) -> str | None:
        """Called when the value of these rows is NaN: the reason in words, where the metric can tell."""
        return None

    def rows(self, stats: FloatArray) -> FloatArray:
        """The value of every row by itself, ``float64[n]``; NaN where one row alone has none."""
        if self.is_additive:
            return self.finish(stats)
        return np.full(len(stats), np.nan)

    def tables(self, stats: FloatArray) -> dict[str, Table]:
        """Curves, matrices, per-class values."""
        return {}

    def extremes(self, sample: Sample) -> tuple[FloatArray, FloatArray] | None:
        """The worst and the best row that this sample could have had, if it is missing; None if that is unknowable."""
        return None

    @property
    def is_additive(self) -> bool:
        """Whether the value is a function of sums, so that replicates cost one matrix product."""
        return type(self).finish is not Metric.finish

    @property
    def may_hang(self) -> bool:
        """Whether scoring a sample may never end, as it runs what a user wrote: it is then done in a process that can be ended.

        By default: where a parameter is a regular expression between slashes, or a metric inside it may hang.
        """
        values = parameters(self).values()
        return any(value.may_hang if isinstance(value, Metric) else _is_expression(value) for value in values)

    @property
    def spec(self) -> str:
        """The shortest spec string that parses back to this metric."""
        return write_spec(self.name, _changed_parameters(self), getattr(self, "k", None))

    def signature(self) -> str:
        """The recipe: name, ALL parameters, version, e.g. ``rouge(measure=f,stemmer=false,type=L)#v1``.

        A file among the parameters is named by its content: ``real.npy#sha256:…``.
        """
        values = {key: content_name(value) if isinstance(value, Path) else value for key, value in parameters(self).items()}
        return f"{write_spec(self.name, values, getattr(self, 'k', None))}#v{self.version}"

    def __repr__(self) -> str:
        return self.spec

    def require(self, ok: bool, parameter: str, constraint: str) -> None:
        """Validate a parameter; call it from ``__post_init__``.

        Raises MetricError: ``<metric>: <parameter> must be <constraint>, got <value>``.
        """
        if not ok:
            value = getattr(self, parameter)
            raise MetricError(f"{self.name}: {parameter} must be {constraint}, got {value!r}")


@dataclass(frozen=True, repr=False)
class PairMetric(Metric):
    """A metric of how two systems' outputs on the same samples differ or agree. A subclass gives :meth:`score_pair`.

    ``others`` are the second system's outputs by key; ``score`` is then handed the first one's.
    """

    others: Mapping[Key, Output] = field(default_factory=dict, repr=False, compare=False, kw_only=True)

    def score_pair(self, samples: Sequence[Sample], outputs: Sequence[Output], others: Sequence[Output]) -> Scores:
        """Statistics of these rows: ``outputs[i]`` and ``others[i]`` belong to ``samples[i]``, and neither has an error."""
        raise NotImplementedError(f"{type(self).__name__}.score_pair")

    def score(self, samples: Sequence[Sample], outputs: Sequence[Output], answers: Sequence[Output] = ()) -> Scores:
        """Rows whose other output is not there or has an error are missing."""
        others = [self.others.get(output.key) for output in outputs]
        both = [row for row, other in enumerate(others) if other is not None and other.error is None]
        found = self.score_pair(
            [samples[row] for row in both], [outputs[row] for row in both], [other for row in both if (other := others[row])]
        )
        stats = np.full((len(samples), found.stats.shape[1]), np.nan)
        stats[both] = found.stats
        absent = {row: "no output of the other system" if other is None else f"the other system: {other.error}"
                  for row, other in enumerate(others) if other is None or other.error is not None}
        return Scores(stats, absent | {both[row]: reason for row, reason in found.missing.items()})


@runtime_checkable
class Calibrator(Protocol):
    """What is fitted on scores and targets and then turns scores into probabilities. A frozen dataclass; its fields without
    a leading underscore are its parameters."""

    name: ClassVar[str]
    summary: ClassVar[str]

    def fit(self, scores: FloatArray, targets: Sequence[Any]) -> Calibrator:
        """A fitted copy: ``float64[n]`` scores of the positive class and targets 0/1, or ``float64[n, K]`` and codes 0..K-1."""
        ...

    def apply(self, scores: FloatArray) -> FloatArray:
        """Probabilities in the shape of ``scores``. Raises MetricError before :meth:`fit`."""
        ...


def lacking(needs: Iterable[str], given: Iterable[str]) -> list[str]:
    """Those words of ``needs`` that nothing in ``given`` satisfies, sorted; ``a|b`` is satisfied by either.

    >>> lacking({"target", "label|vectors"}, {"vectors"})
    ['target']
    """
    there = set(given)
    return sorted(word for word in needs if not there & set(word.split("|")))


def content_name(path: Path) -> str:
    """``real.npy#sha256:0123456789ab``; the bare name of a file that cannot be read."""
    try:
        with path.open("rb") as stream:
            return f"{path.name}#sha256:{hashlib.file_digest(stream, 'sha256').hexdigest()[:12]}"
    except OSError:
        return path.name


def parameters(metric: Metric) -> dict[str, Any]:
    """The parameters of a metric: its init fields that are shown (``prepare`` may fill hidden ones)."""
    return {f.name: getattr(metric, f.name) for f in dataclasses.fields(metric) if f.init and f.repr}


def _is_expression(value: object) -> bool:
    return isinstance(value, str) and len(value) > 2 and value[0] == value[-1] == "/"


def _changed_parameters(metric: Metric) -> dict[str, Any]:
    values = parameters(metric)
    defaults = {f.name: f.default for f in dataclasses.fields(metric)}
    return {name: value for name, value in values.items() if value != defaults[name]}


class TaskData(Protocol):
    """A task's samples, re-iterable, with what belongs to them."""

    def __iter__(self) -> Iterator[Sample]: ...

    def split(self, split: str) -> Iterable[Sample]:
        """The samples of another split of the same source (few-shot examples). Raises DataError if there is none."""
        ...

    def corpus(self) -> Corpus | None: ...


@runtime_checkable
class Suite(Protocol):
    """A kind of task and its player. A dataclass whose fields are the keys that it adds to a task's YAML.

    ``play`` is a generator: yield a request, receive its output, return the answer that is scored. An output with
    ``error`` never reaches a play: the engine closes the play and the sample is missing.
    """

    name: ClassVar[str]
    summary: ClassVar[str]

    def needs(self) -> frozenset[type]:
        """The request types that a model must provide to take this task."""
        ...

    def gives(self) -> frozenset[str]:
        """What its answers have, in the words of ``Metric.needs``: text, label, probabilities, logprobs, ranking, …"""
        ...

    def prepare(self, data: TaskData) -> Suite:
        """Once per task, before any play: return a copy that knows the few-shot pool, the corpus, the label set, …"""
        ...

    def play(self, sample: Sample) -> Play: ...


class Checkpoint(Protocol):
    """Called between the pieces of long work, when what is done is kept, and before a request is sent to a service.

    ``pending``: requests that are under way and may still cost something. It raises if the run is to stop: a signal came, or
    a budget or the time is spent. Whoever has requests under way then sends no more, hands over the answers of those that are
    on their way, and raises it again. False: no new request before those that are pending have told what one takes; ask again.
    """

    def __call__(self, pending: int = 0) -> bool | None: ...


def go_on(pending: int = 0) -> None:
    """A checkpoint that never stops anybody."""


@dataclass(frozen=True, slots=True)
class Resources:
    """What a backend is opened with: where it may keep files, the models that serve it, how it tells the user things."""

    cache_dir: Path
    roles: Mapping[str, Backend] = field(default_factory=dict)
    say: Callable[[str], None] = lambda message: None
    checkpoint: Checkpoint = go_on


@dataclass(frozen=True, slots=True)
class TaskView:
    """What a backend may know of the task that it is about to serve."""

    name: str
    corpus: Corpus | None = None


@runtime_checkable
class Backend(Protocol):
    """The code that talks to one model. A dataclass whose init fields are the keys of its YAML entry."""

    name: ClassVar[str]
    summary: ClassVar[str]
    provides: ClassVar[frozenset[type]]
    cacheable: ClassVar[Cacheable]
    """``always``: its answers are fixed by its signature and may be kept across runs. ``versioned``: only where the config
    gives them a version. ``never``: they depend on more than the request."""
    independent: ClassVar[bool]
    """Whether an answer never depends on which calls stand in one batch. If so a resumed run asks only what is not answered;
    if not, it runs the whole batch again, so that its numbers are the same to the last digit."""
    tuning: ClassVar[frozenset[str]]
    """Those of its keys that change how fast it answers and never what: a resumed run may have others."""

    def needs_roles(self) -> Mapping[str, type]:
        """Roles that must be opened before it: name → the request type that the role's model must provide."""
        ...

    def open(self, resources: Resources) -> None:
        """Load the model. Raises BackendError or MissingDependency."""
        ...

    def close(self) -> None:
        """Free the model. May be called twice."""
        ...

    def signature(self) -> Mapping[str, Any]:
        """After ``open``: everything that fixes its answers (weights by hash, dtype, template hash, …), as JSON."""
        ...

    def start_task(self, task: TaskView) -> None:
        """Before a task: index its corpus, pick its stored answers, …"""
        ...

    def batches(self, calls: Sequence[Call]) -> Sequence[Sequence[Call]]:
        """Split calls into the batches to run. A function of the calls alone, so that a resumed run batches alike."""
        ...

    def run(self, calls: Sequence[Call]) -> Iterator[Output]:
        """Answer one batch, in any order. What fails for one call is an Output with ``error``."""
        ...


@dataclass(frozen=True, slots=True)
class Size:
    """What a request would take: tokens read, and tokens written at most. ``exact``: counted with the model's own tokenizer;
    if not, estimated from the length of its text. ``cost`` in the currency of ``prices``; None where there are none."""

    input_tokens: int
    output_tokens: int
    exact: bool
    truncated: bool = False
    cost: float | None = None


class Inspector(Protocol):
    """What can be said of a model's requests without loading its weights or asking its service."""

    def signature(self) -> Mapping[str, Any] | None:
        """The signature that the open backend would have, or None where that is known only then."""
        ...

    def size(self, request: Request) -> Size:
        """How much a request is."""
        ...

    def render(self, request: Request) -> Mapping[str, Any]:
        """What would be handed to the model, as JSON: ``{"text", "token_ids", "tokens"}`` or ``{"url", "body"}``; no secret."""
        ...


@runtime_checkable
class Inspectable(Protocol):
    """A backend that can say beforehand what it would do."""

    def inspect(self, resources: Resources) -> Inspector:
        """Loads no weights and asks no service. Raises BackendError or MissingDependency."""
        ...


class Retriever(Backend, Protocol):
    """A Backend that provides Rank; ``start_task`` hands it the corpus."""


class Encoder(Protocol):
    """Turns texts into vectors; ``sentence_encoder`` is one, and metrics and retrievers are handed one."""

    def encode(self, texts: Sequence[str], *, purpose: str = "symmetric") -> NDArray[np.float32]:
        """``float32[n, dim]``, one row a text."""
        ...
