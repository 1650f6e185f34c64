"""Embedding: vectors of pairs of texts (semantic similarity), of single texts (clusters), of triplets."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar, Literal

from harness.errors import ConfigError
from harness.protocols import Play, TaskData
from harness.suites.prompting import rendered
from harness.templates import compile_template
from harness.types import Embed, Number, Sample, Vectors

Kind = Literal["pairs", "texts", "triplets"]
Purpose = Literal["query", "document", "symmetric"]

_TEXTS: Mapping[Kind, tuple[str, ...]] = {
    "pairs": ("{{ sentence1 }}", "{{ sentence2 }}"), "texts": ("{{ text }}",),
    "triplets": ("{{ anchor }}", "{{ positive }}", "{{ negative }}"),
}  # fmt: skip


@dataclass(frozen=True)
class Embedding:
    """``kind`` says how many texts of a sample are embedded: ``texts`` one, ``pairs`` two, ``triplets`` three.

    ``texts`` are their templates; by default the fields text; sentence1 and sentence2; anchor, positive and negative.
    ``purpose`` is for encoders that treat queries and documents differently. A stored answer to a pair may be the similarity
    itself.
    """

    name: ClassVar[str] = "embedding"
    summary: ClassVar[str] = "vectors of texts: similarity of pairs, clusters, triplets"

    kind: Kind = "pairs"
    texts: tuple[str, ...] = ()
    purpose: Purpose = "symmetric"

    def __post_init__(self) -> None:
        if self.kind not in _TEXTS:
            raise ConfigError(f"kind must be one of {', '.join(_TEXTS)}, got {self.kind!r}")
        wanted = len(_TEXTS[self.kind])
        if self.texts and len(self.texts) != wanted:
            raise ConfigError(f"texts must be {wanted} for kind: {self.kind}, got {len(self.texts)}")

    def needs(self) -> frozenset[type]:
        return frozenset({Embed})

    def gives(self) -> frozenset[str]:
        return frozenset({"vectors", "timing", "usage"})

    def prepare(self, data: TaskData) -> Embedding:
        return self

    def play(self, sample: Sample) -> Play:
        templates = self.texts or _TEXTS[self.kind]
        texts = tuple(rendered(compile_template(text), sample, f"texts[{i}]") for i, text in enumerate(templates))
        output = yield Embed(texts, self.purpose)
        answer = output.answer
        if isinstance(answer, Number) and self.kind == "pairs":
            return answer
        if not isinstance(answer, Vectors):
            raise TypeError(f"embedding expects vectors, got {type(answer).__name__.lower()}")
        if len(answer.vectors) != len(texts):
            raise ValueError(f"{len(answer.vectors)} vectors for {len(texts)} texts")
        return answer
