"""The ``transformers`` backend: causal language models from Hugging Face files or a GGUF file, on this machine."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, ClassVar, Literal

from harness.errors import BackendError
from harness.models.devices import choose_device, free_memory, set_threads
from harness.models.likelihoods import LikelihoodScorer
from harness.models.loaded import Loaded
from harness.models.prompts import ChatTemplate, Prompts
from harness.models.sources import parse_source, resolve
from harness.models.weights import Dtype, load_causal_lm
from harness.models.writing import Writer
from harness.protocols import Cacheable
from harness.types import Call, Generate, LogLikelihood, Output, Perplexity

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from harness.protocols import Resources, TaskView

_BATCH_TOKENS = {"cpu": 4096}
_BATCH_TOKENS_ACCELERATOR = 16384
_UNKNOWN_LENGTH = 2048
"""The context of a model whose configuration names none."""


@dataclass
class Transformers:
    """A causal language model.

    source : where its weights are (see ``harness.models.sources``).
    dtype : what it computes in.
    device : auto (cuda, else mps, else cpu) or a torch device.
    threads : CPU threads; unset: one or all, whichever a short measurement at loading finds better.
    batch_tokens : padded tokens in one batch (for Generate those that may be written count too); unset: 4096 on a CPU, 16384
        on an accelerator. Out of memory halves a batch.
    max_length : tokens that the model may see at once; unset: what its configuration says. Longer prompts lose their
        beginning and their outputs are marked ``truncated``.
    chat_template : true, false or auto (see ``Prompts``).

    Scores are sums of float32 log-softmax values. Continuations, and prompts of one batch, that begin alike are computed once
    as far as they agree, in models that a test at loading finds fit for it. Neither that nor threads, device or batch_tokens
    is part of the signature: they move a score by no more than float noise.
    """

    source: str
    dtype: Dtype = "float32"
    device: str = "auto"
    threads: int | None = None
    batch_tokens: int | None = None
    max_length: int | None = None
    chat_template: bool | Literal["auto"] = "auto"
    _open: _Open | None = field(default=None, init=False, repr=False, compare=False)

    name: ClassVar[str] = "transformers"
    summary: ClassVar[str] = "causal language model run here with transformers (hub, folder or GGUF)"
    provides: ClassVar[frozenset[type]] = frozenset({Generate, LogLikelihood, Perplexity})
    cacheable: ClassVar[Cacheable] = "always"
    independent: ClassVar[bool] = False
    tuning: ClassVar[frozenset[str]] = frozenset({"device", "threads", "batch_tokens"})

    def __post_init__(self) -> None:
        parse_source(self.source)

    def needs_roles(self) -> Mapping[str, type]:
        return {}

    def open(self, resources: Resources) -> None:
        """Load the model. Raises BackendError or MissingDependency."""
        for option in ("batch_tokens", "max_length"):
            value = getattr(self, option)
            if value is not None and value < 1:
                raise BackendError(f"transformers backend: {option} must be at least 1, got {value}")
        files = resolve(self.source, resources.cache_dir, resources.say)
        model, tokenizer = load_causal_lm(files, self.dtype, resources.cache_dir, resources.say)
        device = choose_device(self.device)
        prompts = Prompts(tokenizer, _checked(self.chat_template))
        threads_before = set_threads(self.threads, device, resources.say)
        model = model.to(device)
        max_length = self.max_length or _context_length(model, tokenizer)
        loaded = Loaded(
            model=model, prompts=prompts, identity=files.identity, device=device, threads_before=threads_before,
            max_length=max_length, ends=_end_tokens(model, prompts),
            batch_tokens=self.batch_tokens or _BATCH_TOKENS.get(device, _BATCH_TOKENS_ACCELERATOR))
        self._open = _Open(loaded, LikelihoodScorer(loaded, resources.say), Writer(loaded))

    def close(self) -> None:
        """Free the model and give torch its thread count back."""
        if self._open is not None:
            import torch

            torch.set_num_threads(self._open.loaded.threads_before)
            self._open = None
            free_memory()

    def signature(self) -> Mapping[str, Any]:
        loaded = self._require().loaded
        return {"backend": self.name, "source": loaded.identity, "dtype": self.dtype, "max_length": loaded.max_length,
                "ends": sorted(loaded.ends), **loaded.prompts.signature()}

    def facts(self) -> Mapping[str, int]:
        """After ``open``: how big the model is, for the run record.

        ``parameters_in_products`` are without an input embedding that is not also the output layer; ``bytes_in_memory`` are
        of weights and buffers; ``context`` is in tokens; ``layers`` and ``attention_width`` are left out where the
        configuration does not say.
        """
        return _facts(self._require().loaded)

    def start_task(self, task: TaskView) -> None:
        """Nothing of a task is needed."""

    def batches(self, calls: Sequence[Call]) -> Sequence[Sequence[Call]]:
        """Calls of one request type together, longest first, under ``batch_tokens`` padded tokens."""
        opened = self._require()
        return [*opened.scorer.batches(calls), *opened.writer.batches(calls)]

    def run(self, calls: Sequence[Call]) -> Iterator[Output]:
        opened = self._require()
        yield from opened.writer.outputs([call for call in calls if isinstance(call.request, Generate)])
        yield from opened.scorer.outputs([call for call in calls if not isinstance(call.request, Generate)])

    def _require(self) -> _Open:
        if self._open is None:
            raise BackendError("transformers backend: open() it before asking it")
        return self._open


@dataclass(frozen=True, slots=True)
class _Open:
    """The open model and what answers requests with it."""

    loaded: Loaded
    scorer: LikelihoodScorer
    writer: Writer


def _checked(chat_template: object) -> ChatTemplate:
    if chat_template is True or chat_template is False or chat_template == "auto":
        return chat_template
    raise BackendError(f"transformers backend: chat_template must be true, false or auto, got {chat_template!r}")


def _context_length(model: Any, tokenizer: Any) -> int:
    config = model.config.get_text_config()
    for attribute in ("n_positions", "max_position_embeddings", "n_ctx"):
        if getattr(config, attribute, None):
            return int(getattr(config, attribute))
    # Tokenizers that know of no limit hold a huge number.
    return int(tokenizer.model_max_length) if tokenizer.model_max_length < 10**9 else _UNKNOWN_LENGTH


def _facts(loaded: Loaded) -> dict[str, int]:
    model, config = loaded.model, loaded.model.config.get_text_config()
    # parameters() gives a tensor that is used twice once.
    parameters = sum(int(tensor.numel()) for tensor in model.parameters())
    read, written = model.get_input_embeddings(), model.get_output_embeddings()
    is_tied = read is not None and written is not None and read.weight is written.weight
    facts = {
        "parameters": parameters,
        "parameters_in_products": parameters - (0 if read is None or is_tied else int(read.weight.numel())),
        "bytes_in_memory": sum(int(t.numel()) * t.element_size() for t in (*model.parameters(), *model.buffers())),
        "context": loaded.max_length,
    }
    layers, heads = getattr(config, "num_hidden_layers", None), getattr(config, "num_attention_heads", None)
    size = getattr(config, "head_dim", None) or (getattr(config, "hidden_size", 0) // heads if heads else None)
    return facts | ({"layers": int(layers)} if layers else {}) | ({"attention_width": heads * size} if heads and size else {})


def _end_tokens(model: Any, prompts: Prompts) -> frozenset[int]:
    """All tokens that end a text: the generation config's, the tokenizer's, and the one that closes a chat turn."""
    configured = model.generation_config.eos_token_id
    listed = configured if isinstance(configured, list) else [configured]
    return frozenset(int(token) for token in (*listed, prompts.tokenizer.eos_token_id, prompts.chat_end) if token is not None)
