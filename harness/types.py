"""The frozen types that data travels in: sample → request → output → answer → scores → estimate → run record."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, Protocol, TypeAlias

import numpy as np
from numpy.typing import NDArray

from harness.errors import ConfigError

FloatArray: TypeAlias = NDArray[np.float64]


# ── data ────────────────────────────────────────────────────────────────────────────────────────────────────────────


@dataclass(frozen=True, slots=True)
class Sample:
    """One item of a task, after the field mapping of its YAML.

    ``group`` names the cluster that is resampled together (several questions on one document); ``slices`` are the
    breakdowns that are reported beside the whole. ``qrels`` maps document ids to graded relevance.
    """

    id: str
    input: Mapping[str, Any] = field(default_factory=dict)
    references: tuple[str, ...] = ()
    choices: tuple[str, ...] = ()
    target: Any = None
    contexts: tuple[str, ...] = ()
    qrels: Mapping[str, int] | None = None
    group: str | None = None
    slices: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Document:
    """One passage of a retrieval corpus."""

    id: str
    text: str
    title: str = ""

    @property
    def full_text(self) -> str:
        """Title and text joined by one space, the form that BEIR systems index."""
        return f"{self.title} {self.text}" if self.title else self.text


class Corpus(Protocol):
    """A re-iterable collection of documents with a content hash."""

    @property
    def fingerprint(self) -> str: ...

    def __len__(self) -> int: ...

    def __iter__(self) -> Iterator[Document]: ...


# ── requests ────────────────────────────────────────────────────────────────────────────────────────────────────────


@dataclass(frozen=True, slots=True)
class Message:
    """One turn of a conversation."""

    role: Literal["system", "user", "assistant", "tool"]
    content: str


Prompt: TypeAlias = str | tuple[Message, ...]
"""A plain continuation (text) or a conversation that the model's chat template renders."""


@dataclass(frozen=True, slots=True)
class Decoding:
    """How text is sampled. ``temperature`` 0 is greedy; ``stop`` strings are cut off the text that is returned.

    ``logprobs``: the answer lists the log-probabilities (and, where the backend can, the entropies) of the tokens written.
    """

    max_tokens: int = 256
    temperature: float = 0.0
    top_p: float = 1.0
    top_k: int | None = None
    stop: tuple[str, ...] = ()
    logprobs: bool = False

    def __post_init__(self) -> None:
        _require(self.max_tokens >= 1, "max_tokens", "a positive integer", self.max_tokens)
        _require(0 <= self.temperature < math.inf, "temperature", "a number ≥ 0", self.temperature)
        _require(0 < self.top_p <= 1, "top_p", "above 0 and at most 1", self.top_p)
        _require(self.top_k is None or self.top_k >= 1, "top_k", "a positive integer or null", self.top_k)
        _require("" not in self.stop, "stop", "strings that are not empty", list(self.stop))


def _require(ok: bool, name: str, constraint: str, value: object) -> None:
    if not ok:
        raise ConfigError(f"{name} must be {constraint}, got {value!r}")


@dataclass(frozen=True, slots=True)
class Generate:
    """Write text after a prompt.

    ``choices``: the text is to be one of these; ``schema``: a JSON text that this JSON Schema admits. Backends that can hold
    the model to it do; the others say nothing of it to the model, and what it writes is parsed all the same.
    """

    prompt: Prompt
    decoding: Decoding = Decoding()
    choices: tuple[str, ...] = ()
    schema: Mapping[str, Any] | None = None


@dataclass(frozen=True, slots=True)
class LogLikelihood:
    """Score each continuation as what follows the prefix; the continuation carries its own leading delimiter."""

    prefix: Prompt
    continuations: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Perplexity:
    """Score a whole text, token by token, in rolling windows where it is longer than the model can read at once.

    ``max_length``: tokens that are read at once (None: as many as the model can). ``stride``: tokens by which windows move on,
    at most ``max_length``; None: windows that share one token, but for the last, which reads all that it can. ``bos``: whether
    a beginning-of-sequence token is read before the text, so that its first token is scored too; auto: that, or the end-of-text
    token in models without one. ``token_logprobs``: the answer lists the tokens' log-probabilities and entropies.
    """

    text: str
    stride: int | None = None
    max_length: int | None = None
    bos: bool | Literal["auto"] = "auto"
    token_logprobs: bool = False


@dataclass(frozen=True, slots=True)
class Embed:
    """Embed texts; ``purpose`` lets encoders that treat queries and documents differently do so."""

    texts: tuple[str, ...]
    purpose: Literal["query", "document", "symmetric"] = "symmetric"


@dataclass(frozen=True, slots=True)
class Rank:
    """Return the best k documents of the corpus with that fingerprint."""

    query: str
    k: int
    corpus: str


@dataclass(frozen=True, slots=True)
class ScorePairs:
    """Score pairs of texts (a reranker's query and passage, an NLI model's premise and hypothesis)."""

    pairs: tuple[tuple[str, str], ...]


@dataclass(frozen=True, slots=True)
class Ask:
    """Hand the sample's input to an app, or to a model that gives labels, scores or numbers by itself."""

    input: Mapping[str, Any]
    choices: tuple[str, ...] = ()


Request: TypeAlias = Generate | LogLikelihood | Perplexity | Embed | Rank | ScorePairs | Ask
REQUEST_TYPES: tuple[type, ...] = (Generate, LogLikelihood, Perplexity, Embed, Rank, ScorePairs, Ask)


@dataclass(frozen=True, slots=True)
class Key:
    """What an output belongs to, inside one model × task. ``step`` counts the requests of one play."""

    sample_id: str
    repeat: int = 0
    arm: str = ""
    step: int = 0


@dataclass(frozen=True, slots=True)
class Call:
    """A request on its way to a backend: under its key, with the seed of its repeat."""

    key: Key
    request: Request
    seed: int = 0


# ── answers and outputs ─────────────────────────────────────────────────────────────────────────────────────────────


@dataclass(frozen=True, slots=True)
class Text:
    """Generated text. ``token_logprobs`` (natural logarithms) and ``token_entropies`` (nats) are those of the tokens that hold
    any of it, under the model's own distribution, before temperature, top_k, top_p and constraints. Not every backend has them.

    ``reasoning`` is what the model wrote before its answer, where its entry in the config or its server tells the two apart:
    kept, and never scored.
    """

    text: str
    token_logprobs: tuple[float, ...] | None = None
    contexts: tuple[str, ...] = ()
    citations: tuple[int, ...] = ()
    token_entropies: tuple[float, ...] | None = None
    reasoning: str | None = None


@dataclass(frozen=True, slots=True)
class Likelihoods:
    """One entry a continuation (or one for a whole text): summed natural log-probability, tokens, greedy or not.

    ``token_logprobs`` (and ``token_entropies``, in nats) are of the tokens that were scored, of a whole text only.
    """

    logprobs: tuple[float, ...]
    n_tokens: tuple[int, ...]
    is_greedy: tuple[bool, ...] = ()
    n_words: int | None = None
    n_bytes: int | None = None
    token_logprobs: tuple[float, ...] | None = None
    token_entropies: tuple[float, ...] | None = None


@dataclass(frozen=True, slots=True)
class Ranking:
    """Documents, best first, with their scores."""

    documents: tuple[str, ...]
    scores: tuple[float, ...]


@dataclass(frozen=True, slots=True)
class Vectors:
    """One embedding a text."""

    vectors: tuple[tuple[float, ...], ...]


@dataclass(frozen=True, slots=True)
class Label:
    """A class. ``label`` None: the model answered, but with none of the labels (a wrong answer, not a missing one).

    ``probabilities`` sum to 1 over the labels; ``logprobs`` are those of the sample's choices, in their order, not
    normalised.
    """

    label: str | None
    probabilities: Mapping[str, float] | None = None
    logprobs: tuple[float, ...] = ()
    text: str | None = None


@dataclass(frozen=True, slots=True)
class Labels:
    """Any number of classes at once (multi-label). ``probabilities`` are one a label, each by itself in [0, 1]."""

    labels: tuple[str, ...]
    probabilities: Mapping[str, float] | None = None


@dataclass(frozen=True, slots=True)
class Number:
    """A number, and the ends of a prediction interval where the model gives one."""

    value: float
    low: float | None = None
    high: float | None = None


@dataclass(frozen=True, slots=True)
class Tags:
    """One tag a token: ``("O", "B-person", "I-person")``."""

    tags: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Ratings:
    """What several raters say of one item, always in the same order; None where a rater does not."""

    ratings: tuple[float | str | None, ...]


@dataclass(frozen=True, slots=True)
class Outcomes:
    """What came of one assignment in an experiment: numbers by name under a variant, None where there is none.

    ``covariates`` were known before the assignment. ``control`` names the variant that the others are compared with and
    ``expected`` is the share of units that this variant was to get, where the log's owner says so.
    """

    variant: str
    outcomes: Mapping[str, float | None]
    covariates: Mapping[str, float | None] = field(default_factory=dict)
    control: str | None = None
    expected: float | None = None


Answer: TypeAlias = Text | Likelihoods | Ranking | Vectors | Label | Labels | Number | Tags | Ratings | Outcomes
ANSWER_TYPES: tuple[type, ...] = (Text, Likelihoods, Ranking, Vectors, Label, Labels, Number, Tags, Ratings, Outcomes)


@dataclass(frozen=True, slots=True)
class Usage:
    """Tokens read and written for one output, and what they cost, where the model's entry has ``prices`` or it tells itself."""

    input_tokens: int = 0
    output_tokens: int = 0
    cost: float | None = None


@dataclass(frozen=True, slots=True)
class Timing:
    """Seconds from handing over a request to having its output (of its whole batch, where it ran in one)."""

    latency_s: float
    first_token_s: float | None = None


@dataclass(frozen=True, slots=True)
class Output:
    """What a backend gave for one call. With ``error`` set it is missing and never scored as an answer."""

    key: Key
    answer: Answer | None
    error: str | None = None
    finish_reason: Literal["stop", "length", "error"] | None = None
    truncated: bool = False
    usage: Usage | None = None
    timing: Timing | None = None


# ── scores and estimates ────────────────────────────────────────────────────────────────────────────────────────────


@dataclass(frozen=True, slots=True)
class Scores:
    """Sufficient statistics, a row a sample × repeat. Rows in ``missing`` hold NaN and are left out, with the reason.

    ``detail`` holds what is shown beside a sample and not aggregated (a list with one entry a row). ``bound`` is the metric
    that these statistics are for, where it had to take the outputs themselves with it (their rows then number what it holds);
    None: the metric that made them. Rows in ``left_out`` (NaN too) are no part of what is measured, such as those that a
    threshold was chosen on: they count neither as scored nor as missing.
    """

    stats: FloatArray
    missing: Mapping[int, str] = field(default_factory=dict)
    detail: Mapping[str, Sequence[Any]] = field(default_factory=dict)
    bound: Any = field(default=None, compare=False, repr=False)
    left_out: frozenset[int] = frozenset()

    def __post_init__(self) -> None:
        if self.stats.ndim != 2:
            raise ValueError(f"Scores.stats must be an (n, d) array, got shape {self.stats.shape}")


@dataclass(frozen=True, slots=True)
class Table:
    """A curve, a matrix or a breakdown that belongs to an estimate."""

    columns: tuple[str, ...]
    rows: tuple[tuple[Any, ...], ...]


@dataclass(frozen=True, slots=True)
class Estimate:
    """A value with its interval. ``value`` None: undefined, because of ``reason``; never NaN, never a silent zero.

    ``n`` counts the units that were scored (samples; repeats are averaged inside a sample), ``n_missing`` those that
    were not, ``n_groups`` the clusters that were resampled. ``worst_case`` and ``best_case`` bound the value had the
    missing samples been answered as badly or as well as they could.
    """

    value: float | None
    low: float | None
    high: float | None
    level: float
    method: str
    n: int
    n_missing: int = 0
    n_groups: int | None = None
    worst_case: float | None = None
    best_case: float | None = None
    reason: str | None = None


Change = Literal["better", "worse", "same", "unclear"]


@dataclass(frozen=True, slots=True)
class Comparison:
    """One metric of one task, ``b`` against ``a`` on the samples that both answered.

    ``difference`` is b - a in the metric's own scale, with its interval. ``p_value`` is two-sided, of no difference;
    ``p_adjusted`` corrects it for all comparisons that were made together. ``mde`` is the smallest true difference that these
    samples find with 80 % power. ``verdict``: better and worse are beyond doubt and follow the metric's direction; same: all
    that the interval leaves is within the margin that was asked for, or every pair is equal; unclear: not enough data.
    """

    task: str
    metric: str
    entry: str
    a: float | None
    b: float | None
    difference: Estimate
    p_value: float | None
    p_adjusted: float | None
    test: str
    n_pairs: int
    mde: float | None
    verdict: Change


@dataclass(frozen=True, slots=True)
class RunRecord:
    """Everything a finished run says of itself; ``run.json`` is its JSON form (see ``harness.store``)."""

    schema: int
    run_id: str
    name: str
    parent: str | None
    plan_hash: str
    config: Mapping[str, Any]
    seeds: tuple[int, ...]
    data_fingerprints: Mapping[str, Mapping[str, Any]]
    model_signatures: Mapping[str, Mapping[str, Any]]
    metric_signatures: Mapping[str, Mapping[str, Any]]
    environment: Mapping[str, Any]
    estimates: tuple[Mapping[str, Any], ...]
    standings: Mapping[str, Any]
    tables: tuple[Mapping[str, Any], ...]
    timings: Mapping[str, Any]
    counts: Mapping[str, Any]
    path: Path | None = field(default=None, compare=False)
