"""Retrieval: a query in, a ranking of the corpus out, judged by qrels."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass, field
from typing import ClassVar

from harness.errors import ConfigError
from harness.protocols import Play, TaskData
from harness.suites.prompting import rendered
from harness.templates import compile_template
from harness.types import Rank, Ranking, Sample


@dataclass(frozen=True)
class Retrieval:
    """``query`` is the template of the text that is searched for; ``k`` the depth of the ranking."""

    name: ClassVar[str] = "retrieval"
    summary: ClassVar[str] = "a query in, a ranking of the corpus out, judged by qrels"

    query: str = "{{ text }}"
    k: int = 100
    _corpus: str = field(default="", init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        if self.k < 1:
            raise ConfigError(f"k must be a positive integer, got {self.k}")

    def needs(self) -> frozenset[type]:
        return frozenset({Rank})

    def gives(self) -> frozenset[str]:
        return frozenset({"ranking", "timing"})

    def prepare(self, data: TaskData) -> Retrieval:
        corpus = data.corpus()
        ready = dataclasses.replace(self)
        object.__setattr__(ready, "_corpus", "" if corpus is None else corpus.fingerprint)
        return ready

    def play(self, sample: Sample) -> Play:
        query = rendered(compile_template(self.query), sample, "query")
        output = yield Rank(query, self.k, self._corpus)
        answer = output.answer
        if not isinstance(answer, Ranking):
            raise TypeError(f"retrieval expects a ranking, got {type(answer).__name__.lower()}")
        return Ranking(answer.documents[: self.k], answer.scores[: self.k])
