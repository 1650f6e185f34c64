"""Similarity of a text with its references by sentence embeddings."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, ClassVar, Protocol

import numpy as np
from numpy.typing import NDArray

from harness.errors import MetricError
from harness.metrics.bertscore import opened_encoder
from harness.metrics.references import Measured, ReferenceMetric, References
from harness.metrics.rows import ratio
from harness.metrics.vectors import cosines
from harness.protocols import Backend
from harness.types import Embed, FloatArray


class TextEncoder(Protocol):
    """What an opened ``sentence_encoder`` gives."""

    def encode(self, texts: Sequence[str]) -> NDArray[np.float32]: ...


@dataclass(frozen=True, repr=False)
class EmbeddingSimilarity(ReferenceMetric):
    """Cosine of the sentence embeddings of a text and its reference, of several references the highest; the mean over samples.

    -1 to 1, higher is better; undefined for no rows; a sample with an embedding of length 0 is missing. ``model`` is a role, or
    the source of an encoder; each different text is embedded once in a block of samples. Equals ``sentence_transformers.util.
    cos_sim`` of ``SentenceTransformer.encode`` (float32).
    """

    name: ClassVar[str] = "embedding_similarity"
    summary: ClassVar[str] = "cosine of the sentence embeddings of a text and its reference"
    bounds: ClassVar[tuple[float | None, float | None]] = (-1.0, 1.0)
    columns: ClassVar[tuple[str, ...]] = ("cosine", "rows")
    formula: ClassVar[str] = "mean max_r cos(e(x), e(r))"
    reference: ClassVar[str] = "sentence_transformers.util.cos_sim"
    paper: ClassVar[str] = "Reimers and Gurevych 2019, Sentence-BERT, EMNLP"

    model: str = "encoder"
    encoder: Any = field(default=None, repr=False, compare=False, kw_only=True)

    def needs_roles(self) -> Mapping[str, type]:
        return {self.model: Embed}

    def open(self, roles: Mapping[str, Backend]) -> EmbeddingSimilarity:
        return dataclasses.replace(self, encoder=roles[self.model])

    def statistics(self, predictions: Sequence[str], references: Sequence[Sequence[str]]) -> FloatArray:
        """``float64[n, 2]``: the best cosine, 1."""
        if self.encoder is None:
            raise MetricError(f"embedding_similarity: open() it with the model {self.model!r} first")
        texts = list(dict.fromkeys([*predictions, *(text for item in references for text in item)]))
        vectors = np.asarray(self.encoder.encode(texts), dtype=np.float64)
        place = {text: index for index, text in enumerate(texts)}
        stats = np.ones((len(predictions), 2))
        for row, (text, item) in enumerate(zip(predictions, references)):
            found = vectors[[place[reference] for reference in item]]
            stats[row, 0] = cosines(vectors[place[text]][None, :], found).max()
        return stats

    def finish(self, totals: FloatArray) -> FloatArray:
        """The mean."""
        return ratio(totals[..., 0], totals[..., 1])


def embedding_similarity(
    predictions: Sequence[str], references: References, encoder: TextEncoder | Any | Path | str
) -> Measured:
    """Cosine of the embeddings of texts and of one or more references each.

    encoder : an opened encoder (anything with ``encode``), the source of one (a folder, ``path:…``, ``hub:…``), or a function
        from texts to ``(n, d)`` vectors.

    >>> embedding_similarity(["ab"], [["aa", "abb"]], lambda texts: [[len(t), 1] for t in texts]).value.__round__(12)
    1.0

    Raises MetricError for lists of different lengths and items that are no texts.
    """
    if hasattr(encoder, "encode") and not isinstance(encoder, str):
        return EmbeddingSimilarity(encoder=encoder).over(predictions, references)
    if callable(encoder):
        return EmbeddingSimilarity(encoder=_Called(encoder)).over(predictions, references)
    with opened_encoder(encoder) as backend:
        return EmbeddingSimilarity(encoder=backend).over(predictions, references)


@dataclass(frozen=True, slots=True)
class _Called:
    function: Any

    def encode(self, texts: Sequence[str]) -> Any:
        return self.function(texts)
