"""BERTScore: greedy soft matching of the token vectors of a text and a reference."""

from __future__ import annotations

import dataclasses
import math
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, ClassVar, Literal, Protocol, TypeAlias

import numpy as np
from numpy.typing import NDArray

from harness import plugins
from harness.errors import DataError, MetricError
from harness.metrics.references import Measured, ReferenceMetric, References
from harness.metrics.rows import ratio
from harness.protocols import Backend, Resources
from harness.types import Embed, FloatArray, Sample

Measure = Literal["f", "p", "r"]
TokenVectors: TypeAlias = tuple[NDArray[np.int64], NDArray[np.bool_], NDArray[np.float32]]
"""Token ids ``int64[t]``, which of them are of the text (not put around it) ``bool[t]``, vectors ``float32[t, d]``."""

_BLOCK = 2048
"""Samples whose token vectors are held at a time."""


class TokenEncoder(Protocol):
    """What an opened ``sentence_encoder`` gives."""

    def token_ids(self, texts: Sequence[str]) -> Sequence[tuple[NDArray[np.int64], NDArray[np.bool_]]]: ...

    def token_vectors(self, texts: Sequence[str], *, layer: int | None) -> Sequence[TokenVectors]: ...


@dataclass(frozen=True, repr=False)
class BertScore(ReferenceMetric):
    """Precision: the mean over the tokens of the text of their best cosine with a token of the reference; recall the other way.

    F is their harmonic mean, for each sample; the value is the mean of ``measure`` over samples, higher is better; -1 to 1, for
    most texts above 0. Tokens that the model puts around a text can be matched, but have no weight. ``idf``: tokens weigh
    log((N + 1) / (df + 1)) over the references of the task. ``layer``: after how many layers (none: all). ``rescale``: a file
    of baselines as bert-score has them (columns LAYER, P, R, F): (x - b) / (1 - b). Of several references the best one counts,
    for P, R and F each. Without tokens on a side all are 0, as in the reference; a sample whose tokens have no idf weight is
    missing. Texts are cut at the model's own limit. ``model`` is a role, or the source of an encoder. Equals ``bert_score``
    (computed in float32).
    """

    name: ClassVar[str] = "bertscore"
    summary: ClassVar[str] = "greedy soft matching of token embeddings with a reference"
    bounds: ClassVar[tuple[float | None, float | None]] = (None, 1.0)
    columns: ClassVar[tuple[str, ...]] = ("p", "r", "f", "rows")
    formula: ClassVar[str] = "R = Σ_i w_i max_j cos(x_i, y_j) / Σ w_i; F = 2PR / (P + R)"
    reference: ClassVar[str] = "bert_score.BERTScorer"
    paper: ClassVar[str] = "Zhang et al. 2020, BERTScore: Evaluating Text Generation with BERT, ICLR"

    model: str = "encoder"
    layer: int | None = None
    idf: bool = False
    rescale: Path | None = None
    measure: Measure = "f"
    encoder: Any = field(default=None, repr=False, compare=False, kw_only=True)
    weights: Any = field(default=None, repr=False, compare=False, kw_only=True)

    def __post_init__(self) -> None:
        self.require(self.layer is None or self.layer >= 0, "layer", "an integer ≥ 0 or none")
        self.require(self.measure in ("f", "p", "r"), "measure", "one of f, p, r")

    def needs_roles(self) -> Mapping[str, type]:
        return {self.model: Embed}

    def open(self, roles: Mapping[str, Backend]) -> BertScore:
        """Raises MetricError if the model gives no token vectors."""
        encoder = roles[self.model]
        if not hasattr(encoder, "token_vectors"):
            raise MetricError(f"bertscore: model must be a sentence_encoder, got {encoder.name!r} for {self.model!r}")
        return dataclasses.replace(self, encoder=encoder)

    def prepare(self, samples: Iterable[Sample]) -> BertScore:
        """With ``idf``: a copy that knows the weights of the tokens."""
        if not self.idf:
            return self
        return self.weighted([text for sample in samples for text in sample.references])

    def weighted(self, references: Sequence[str]) -> BertScore:
        """A copy with the inverse document frequencies of these texts."""
        counts = Counter(int(token) for ids, _ in self._opened().token_ids(references) for token in np.unique(ids))
        unseen = math.log(len(references) + 1)
        return dataclasses.replace(self, weights=({t: unseen - math.log(n + 1) for t, n in counts.items()}, unseen))

    def statistics(self, predictions: Sequence[str], references: Sequence[Sequence[str]]) -> FloatArray:
        """``float64[n, 4]``: P, R, F (of the best references), 1; NaN without idf weight."""
        texts = list(dict.fromkeys([*predictions, *(text for item in references for text in item)]))
        vectors = self._opened().token_vectors(texts, layer=self.layer)
        known = {text: self._matchable(*found) for text, found in zip(texts, vectors)}
        base = _baseline(self.rescale, self.layer) if self.rescale is not None else np.zeros(3)
        stats = np.ones((len(predictions), 4))
        for row, (text, item) in enumerate(zip(predictions, references)):
            best = np.max([_match(known[text], known[reference]) for reference in item], axis=0)
            stats[row, :3] = (best - base) / (1 - base)
        return stats

    def finish(self, totals: FloatArray) -> FloatArray:
        """The mean of the measure."""
        return ratio(totals[..., "prf".index(self.measure)], totals[..., 3])

    def _matchable(self, ids: NDArray[np.int64], is_text: NDArray[np.bool_], vectors: NDArray[np.float32]) -> _Tokens:
        lengths = np.linalg.norm(vectors, axis=1, keepdims=True)
        weights = is_text.astype(np.float64)
        if self.weights is not None:
            of_token, unseen = self.weights
            weights = np.array([of_token.get(token, unseen) for token in ids.tolist()], dtype=np.float64)
        return _Tokens(vectors / np.maximum(lengths, np.finfo(np.float32).tiny), weights, not is_text.any())

    def _opened(self) -> TokenEncoder:
        if self.encoder is None:
            raise MetricError(f"bertscore: open() it with the model {self.model!r} first")
        encoder: TokenEncoder = self.encoder
        return encoder

    def _in_blocks(self, predictions: Sequence[str], references: Sequence[Sequence[str]]) -> FloatArray:
        """In larger blocks than other metrics: a text is encoded once in each block that it is in."""
        blocks = [np.empty((0, len(self.columns)))]
        for start in range(0, len(predictions), _BLOCK):
            block = slice(start, start + _BLOCK)
            blocks.append(self.statistics(predictions[block], references[block]))
        return np.concatenate(blocks)


@dataclass(frozen=True, slots=True)
class _Tokens:
    """Unit vectors ``float32[t, d]`` and weights ``float64[t]`` of the tokens of a text."""

    vectors: NDArray[np.float32]
    weights: FloatArray
    is_empty: bool


def _match(text: _Tokens, reference: _Tokens) -> FloatArray:
    """P, R, F."""
    if text.is_empty or reference.is_empty:
        return np.zeros(3)
    cosines = text.vectors @ reference.vectors.T
    p = float(ratio(np.dot(cosines.max(axis=1), text.weights), text.weights.sum()))
    r = float(ratio(np.dot(cosines.max(axis=0), reference.weights), reference.weights.sum()))
    return np.array([p, r, 2 * p * r / (p + r) if p + r != 0 else 0.0])


def _baseline(path: Path, layer: int | None) -> FloatArray:
    """P, R, F of the file's line for the layer; the last line for none. Raises DataError."""
    try:
        lines = [line.split(",") for line in path.read_text(encoding="utf-8").splitlines() if line.strip()]
        by_layer = {int(line[0]): np.array([float(number) for number in line[1:4]]) for line in lines[1:]}
        return by_layer[max(by_layer) if layer is None else layer]
    except (OSError, ValueError, IndexError, KeyError) as error:
        raise DataError(f"{path}: no baselines (LAYER,P,R,F) for bertscore, layer {layer}: {error!r}") from error


def bertscore(
    predictions: Sequence[str], references: References, encoder: TokenEncoder | Callable[..., Any] | Path | str, *,
    layer: int | None = None, idf: bool = False, rescale: Path | None = None, measure: Measure = "f",
) -> Measured:
    """BERTScore of texts against one or more references each; the columns of its ``stats`` are P, R, F, 1.

    encoder : an opened ``sentence_encoder`` backend, the source of one (a folder, ``path:…``, ``hub:…``), or a function from
        texts to (ids, which are of the text, vectors) of each.

    >>> def one_hot(texts):
    ...     words = [text.split() for text in texts]
    ...     ids = [np.array([sum(map(ord, word)) % 97 for word in text], dtype=np.int64) for text in words]
    ...     return [(row, np.ones(len(row), dtype=bool), np.eye(97, dtype=np.float32)[row]) for row in ids]
    >>> bertscore(["the cat"], ["the black cat"], one_hot).value
    0.8

    Raises MetricError for lists of different lengths and items that are no texts.
    """
    metric = BertScore(layer=layer, idf=idf, rescale=rescale, measure=measure)
    with token_encoder(encoder) as opened:
        ready = dataclasses.replace(metric, encoder=opened)
        checked = ready._checked(predictions, references)
        if idf:
            ready = ready.weighted([text for item in checked for text in item])
        return ready.over(predictions, references)


@contextmanager
def token_encoder(encoder: Any) -> Iterator[Any]:
    """The encoder itself, a function dressed up as one, or the backend opened on a source (and closed)."""
    if hasattr(encoder, "token_vectors"):
        yield encoder
    elif callable(encoder):
        yield _Called(encoder)
    else:
        with opened_encoder(encoder) as backend:
            yield backend


@contextmanager
def opened_encoder(source: Path | str) -> Iterator[Any]:
    """A ``sentence_encoder`` backend on a folder or a source, closed afterwards."""
    import platformdirs

    named = str(source) if ":" in str(source) and not Path(source).exists() else f"path:{source}"
    backend = plugins.find("backend", "sentence_encoder")(source=named)
    backend.open(Resources(Path(platformdirs.user_cache_dir("harness-eval"))))
    try:
        yield backend
    finally:
        backend.close()


@dataclass(frozen=True, slots=True)
class _Called:
    function: Callable[..., Any]

    def token_ids(self, texts: Sequence[str]) -> list[Any]:
        return [(ids, is_text) for ids, is_text, _ in self.function(texts)]

    def token_vectors(self, texts: Sequence[str], *, layer: int | None) -> Sequence[TokenVectors]:
        found: Sequence[TokenVectors] = self.function(texts)
        return found
