"""Dense retrieval: an encoder's vectors of query and document, compared by inner product over the whole corpus."""

from __future__ import annotations

import itertools
import shutil
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from time import perf_counter
from typing import Any, ClassVar, Protocol, cast

import numpy as np
from numpy.typing import NDArray

from harness.codec import digest, dumps
from harness.errors import BackendError, ConfigError, MissingDependency
from harness.protocols import Cacheable, Resources, TaskView
from harness.retrieval.top import Ids
from harness.types import Call, Corpus, Embed, Output, Rank, Ranking, Timing

Vectors32 = NDArray[np.float32]

_DOCUMENTS_PER_CHUNK = 512
_TIE = 1e-5
"""Relative difference under which two of faiss's float32 scores may be one number rounded in two ways."""


class _Encoder(Protocol):
    cacheable: Cacheable

    def encode(self, texts: Sequence[str], *, purpose: str = "symmetric") -> NDArray[np.floating[Any]]: ...

    def signature(self) -> Mapping[str, Any]: ...


@dataclass
class Dense:
    """Exact search (faiss, flat inner product) with the model of a role as encoder; vectors are used as they come.

    ``encoder`` is the role whose model embeds queries and documents. ``batch_size`` queries are encoded together.

    Scores are computed again from the vectors in float64, one document at a time, so that they do not depend on the
    batch and equal vectors tie exactly. Embeddings of a corpus are kept under ``<cache>/embeddings`` if the encoder's
    answers are fixed by its signature.
    """

    name: ClassVar[str] = "dense"
    summary: ClassVar[str] = "dense retrieval with an encoder over the task's corpus (faiss, exact)"
    provides: ClassVar[frozenset[type]] = frozenset({Rank})
    cacheable: ClassVar[Cacheable] = "always"
    independent: ClassVar[bool] = False
    tuning: ClassVar[frozenset[str]] = frozenset({"batch_size"})

    encoder: str = "encoder"
    batch_size: int = 64
    _resources: Resources | None = field(default=None, init=False, repr=False, compare=False)
    _index: _Index | None = field(default=None, init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        if self.batch_size < 1:
            raise ConfigError(f"dense: batch_size must be a positive integer, got {self.batch_size!r}")

    def needs_roles(self) -> Mapping[str, type]:
        return {self.encoder: Embed}

    def open(self, resources: Resources) -> None:
        """Raises MissingDependency without faiss, BackendError without the role or if its model cannot encode."""
        try:
            import faiss  # noqa: F401
        except ImportError as error:
            raise MissingDependency("dense retrieval", ["faiss-cpu"], "models") from error
        if not callable(getattr(resources.roles.get(self.encoder), "encode", None)):
            raise BackendError(f"dense: the role {self.encoder!r} must be a model that embeds texts; "
                               f"add `roles: {{{self.encoder}: {{backend: sentence_encoder, source: …}}}}`")
        self._resources = resources
        # Rankings are no more fixed by the signature than the encoder's vectors are.
        object.__setattr__(self, "cacheable", self._model().cacheable)

    def close(self) -> None:
        self._resources = self._index = None

    def signature(self) -> Mapping[str, Any]:
        import faiss

        return {"backend": self.name, "index": "flat inner product", "encoder": dict(self._model().signature()),
                "faiss": faiss.__version__}

    def start_task(self, task: TaskView) -> None:
        """Embed and index the corpus, unless it is the one that is indexed already. Raises BackendError if there is none."""
        if task.corpus is None or not len(task.corpus):
            raise BackendError(f"dense: task {task.name!r} has no corpus to search; give its data one")
        if self._index is None or self._index.fingerprint != task.corpus.fingerprint:
            self._index = None
            vectors = self._embeddings(task.corpus)
            self._index = _Index(task.corpus.fingerprint, Ids([document.id for document in task.corpus]), vectors)

    def batches(self, calls: Sequence[Call]) -> Sequence[Sequence[Call]]:
        return [calls[start : start + self.batch_size] for start in range(0, len(calls), self.batch_size)]

    def run(self, calls: Sequence[Call]) -> Iterator[Output]:
        started = perf_counter()
        asked: list[tuple[Call, Rank]] = []
        for call in calls:
            request = call.request
            if not isinstance(request, Rank):
                yield Output(call.key, None, error=f"dense answers Rank only, not {type(request).__name__}")
            elif self._index is None or request.corpus != self._index.fingerprint:
                yield Output(call.key, None, error=f"dense: the corpus {request.corpus!r} is not the one that is indexed")
            else:
                asked.append((call, request))
        if not asked or self._index is None:
            return
        vectors = _matrix(self._model().encode([request.query for _, request in asked], purpose="query"))
        rankings = self._index.search(vectors, [request.k for _, request in asked])
        timing = Timing(perf_counter() - started)
        for (call, _), ranking in zip(asked, rankings):
            yield Output(call.key, ranking, timing=timing)

    def _model(self) -> _Encoder:
        if self._resources is None:
            raise BackendError("dense: used before open")
        return cast("_Encoder", self._resources.roles[self.encoder])

    def _embeddings(self, corpus: Corpus) -> Vectors32:
        assert self._resources is not None
        model = self._model()
        if model.cacheable != "always":
            return np.concatenate(list(_embed(model, corpus, self._resources, None)))
        key = digest(dumps(model.signature()), corpus.fingerprint.encode())
        path = self._resources.cache_dir / "embeddings" / f"{key}.npy"
        vectors = _stored(path, len(corpus))
        if vectors is None:
            parts = path.with_suffix(".parts")
            vectors = np.concatenate(list(_embed(model, corpus, self._resources, parts)))
            _store(path, vectors)
            shutil.rmtree(parts, ignore_errors=True)
        return vectors


class _Index:
    """Every vector of one corpus."""

    def __init__(self, fingerprint: str, ids: Ids, vectors: Vectors32) -> None:
        import faiss

        self.fingerprint = fingerprint
        self._ids, self._vectors = ids, vectors
        self._flat = faiss.IndexFlatIP(vectors.shape[1])
        self._flat.add(vectors)

    def search(self, queries: Vectors32, ks: Sequence[int]) -> list[Ranking]:
        found = self._candidates(queries, min(max(ks), len(self._ids)))
        return [self._ranking(query, rows, k) for query, rows, k in zip(queries, found, ks)]

    def _candidates(self, queries: Vectors32, k: int) -> NDArray[np.int64]:
        """Rows for each query: the k best and, so that none of those that tie with the k-th is lost, some more."""
        depth = k
        while depth < len(self._ids):
            depth = min(2 * depth + 16, len(self._ids))
            scores, rows = self._flat.search(queries, depth)
            slack = _TIE * np.abs(scores).max(axis=1)
            if (scores[:, -1] < scores[:, k - 1] - slack).all():
                return cast("NDArray[np.int64]", rows)
        return np.tile(np.arange(len(self._ids)), (len(queries), 1))

    def _ranking(self, query: Vectors32, rows: NDArray[np.int64], k: int) -> Ranking:
        exact = np.einsum("ij,j->i", self._vectors[rows], query, dtype=np.float64, casting="unsafe")
        return self._ids.ranking(rows, exact.astype(np.float32), k)


def _embed(model: _Encoder, corpus: Corpus, resources: Resources, parts: Path | None) -> Iterator[Vectors32]:
    """The vectors of the corpus, chunk by chunk; each is kept in ``parts`` at once, so that a stop costs one chunk."""
    resources.say(f"dense: embedding {len(corpus):,} documents")
    documents = iter(corpus)
    for number, start in enumerate(range(0, len(corpus), _DOCUMENTS_PER_CHUNK)):
        resources.checkpoint()
        texts = [document.full_text for document in itertools.islice(documents, _DOCUMENTS_PER_CHUNK)]
        path = None if parts is None else parts / f"{number:06}.npy"
        vectors = None if path is None else _stored(path, len(texts))
        if vectors is None:
            vectors = _matrix(model.encode(texts, purpose="document"))
            if path is not None:
                _store(path, vectors)
        if start and number % 8 == 0:
            resources.say(f"dense: {start:,} of {len(corpus):,} documents embedded")
        yield vectors


def _matrix(vectors: NDArray[np.floating[Any]]) -> Vectors32:
    matrix = np.ascontiguousarray(vectors, dtype=np.float32)
    if not np.isfinite(matrix).all():
        raise BackendError("dense: the encoder returned vectors that are not finite")
    return matrix


def _stored(path: Path, n: int) -> Vectors32 | None:
    """The vectors in the file; None if it is not there or does not hold n of them."""
    try:
        vectors = np.load(path, allow_pickle=False)
    except (OSError, ValueError, EOFError):
        return None
    fits = vectors.ndim == 2 and len(vectors) == n and vectors.dtype == np.float32
    return np.ascontiguousarray(vectors) if fits else None


def _store(path: Path, vectors: Vectors32) -> None:
    """Written beside its place and moved there, so that no reader ever sees half a file."""
    import os
    import tempfile

    path.parent.mkdir(parents=True, exist_ok=True)
    handle, temporary = tempfile.mkstemp(dir=path.parent, suffix=".tmp")
    try:
        with os.fdopen(handle, "wb") as file:
            np.save(file, vectors)
        os.replace(temporary, path)
    except BaseException:
        os.unlink(temporary)
        raise
