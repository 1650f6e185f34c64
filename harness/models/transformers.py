"""The ``transformers`` backend: causal language models from Hugging Face files or a GGUF file, on this machine."""

from __future__ import annotations

import re
import time
from dataclasses import dataclass, field
from functools import partial
from itertools import chain
from typing import TYPE_CHECKING, Any, ClassVar, Literal

from harness.errors import BackendError
from harness.models.devices import choose_device, free_memory, halving, pack, set_threads
from harness.models.generation import Task, Written, row_seed, write
from harness.models.prompts import ChatTemplate, Prompts, Unanswerable
from harness.models.scoring import Scored, TokenPair, fit, layout, rolling_windows, score_sequences, widest_row
from harness.models.sources import parse_source, resolve
from harness.models.weights import Dtype, load_causal_lm
from harness.protocols import Cacheable
from harness.types import Call, Generate, Likelihoods, LogLikelihood, Output, Perplexity, Text, Timing, Usage

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from harness.protocols import Resources, TaskView

_TOO_LITTLE_MEMORY = "out of memory on {device}, even alone in its batch"
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
    _loaded: _Loaded | None = field(default=None, init=False, repr=False, compare=False)

    name: ClassVar[str] = "transformers"
    summary: ClassVar[str] = "causal language model run here with transformers (hub, folder or GGUF)"
    provides: ClassVar[frozenset[type]] = frozenset({Generate, LogLikelihood, Perplexity})
    cacheable: ClassVar[Cacheable] = "always"

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
        self._loaded = _Loaded(
            model=model, prompts=prompts, identity=files.identity, device=device, threads_before=threads_before,
            max_length=max_length, ends=_end_tokens(model, prompts), widest_row=widest_row(model, max_length, resources.say),
            batch_tokens=self.batch_tokens or _BATCH_TOKENS.get(device, _BATCH_TOKENS_ACCELERATOR))

    def close(self) -> None:
        """Free the model and give torch its thread count back."""
        if self._loaded is not None:
            import torch

            torch.set_num_threads(self._loaded.threads_before)
            self._loaded = None
            free_memory()

    def signature(self) -> Mapping[str, Any]:
        loaded = self._require()
        return {"backend": self.name, "source": loaded.identity, "dtype": self.dtype, "max_length": loaded.max_length,
                "ends": sorted(loaded.ends), **loaded.prompts.signature()}

    def facts(self) -> Mapping[str, int]:
        """After ``open``: how big the model is, for the run record.

        ``parameters_in_products`` are without an input embedding that is not also the output layer; ``bytes_in_memory`` are
        of weights and buffers; ``context`` is in tokens; ``layers`` and ``attention_width`` are left out where the
        configuration does not say.
        """
        return _facts(self._require())

    def start_task(self, task: TaskView) -> None:
        """Nothing of a task is needed."""

    def batches(self, calls: Sequence[Call]) -> Sequence[Sequence[Call]]:
        """Calls of one request type together, longest first, under ``batch_tokens`` padded tokens."""
        loaded = self._require()
        batches: list[list[Call]] = []
        for kind in (LogLikelihood, Perplexity, Generate):
            # Sorted by key first, so that the order in which calls arrive does not show.
            chosen = sorted((call for call in calls if isinstance(call.request, kind)), key=_order)
            sizes = [loaded.size(call) for call in chosen]
            packed = pack([width for width, _ in sizes], [rows for _, rows in sizes], loaded.batch_tokens)
            batches += [[chosen[index] for index in batch] for batch in packed]
        return batches

    def run(self, calls: Sequence[Call]) -> Iterator[Output]:
        loaded = self._require()
        yield from loaded.generate([call for call in calls if isinstance(call.request, Generate)])
        yield from loaded.score([call for call in calls if not isinstance(call.request, Generate)])

    def _require(self) -> _Loaded:
        if self._loaded is None:
            raise BackendError("transformers backend: open() it before asking it")
        return self._loaded


def _checked(chat_template: object) -> ChatTemplate:
    if chat_template is True or chat_template is False or chat_template == "auto":
        return chat_template
    raise BackendError(f"transformers backend: chat_template must be true, false or auto, got {chat_template!r}")


def _order(call: Call) -> tuple[str, int, str, int]:
    return (call.key.sample_id, call.key.repeat, call.key.arm, call.key.step)


def _context_length(model: Any, tokenizer: Any) -> int:
    config = model.config.get_text_config()
    for attribute in ("n_positions", "max_position_embeddings", "n_ctx"):
        if getattr(config, attribute, None):
            return int(getattr(config, attribute))
    # Tokenizers that know of no limit hold a huge number.
    return int(tokenizer.model_max_length) if tokenizer.model_max_length < 10**9 else _UNKNOWN_LENGTH


def _facts(loaded: _Loaded) -> dict[str, int]:
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


@dataclass
class _Loaded:
    """The open model and what answers requests with it."""

    model: Any
    prompts: Prompts
    identity: str
    device: str
    threads_before: int
    max_length: int
    batch_tokens: int
    ends: frozenset[int]
    widest_row: int

    def size(self, call: Call) -> tuple[int, int]:
        """The widest row of a call, in tokens, and its number of rows."""
        try:
            if isinstance(call.request, Generate):
                prompt, _ = self._prompt(call.request)
                return len(prompt) + call.request.decoding.max_tokens, 1
            pairs, _ = self._pairs(call)
        except Unanswerable:
            return 0, 1
        return layout(pairs, self.batch_tokens, min(self.widest_row, self.max_length))

    # ── log-likelihoods ──

    def score(self, calls: Sequence[Call]) -> Iterator[Output]:
        """Outputs of LogLikelihood and Perplexity calls; the sequences of all calls are batched together."""
        started = time.perf_counter()
        asked: list[tuple[Call, list[TokenPair], bool]] = []
        for call in calls:
            try:
                asked.append((call, *self._pairs(call)))
            except Unanswerable as error:
                yield _failed(call, str(error))
        sequences = [pair for _, pairs, _ in asked for pair in pairs]
        by_token = any(_lists_tokens(call) for call, _, _ in asked)
        widest = min(self.widest_row, self.max_length)
        scored = iter(score_sequences(self.model, sequences, self.batch_tokens, widest, by_token=by_token))
        timing = Timing(time.perf_counter() - started)
        for call, pairs, truncated in asked:
            results = [next(scored) for _ in pairs]
            whole = [result for result in results if result is not None]
            if len(whole) < len(results):
                yield _failed(call, _TOO_LITTLE_MEMORY.format(device=self.device))
                continue
            usage = Usage(input_tokens=sum(len(context) + len(continuation) for context, continuation in pairs))
            yield Output(call.key, _likelihoods(call, pairs, whole), truncated=truncated, usage=usage, timing=timing)

    def _pairs(self, call: Call) -> tuple[list[TokenPair], bool]:
        """The token sequences that a call asks to have scored, and whether a prefix had to be cut."""
        if isinstance(call.request, Perplexity):
            return self._windows(call.request), False
        assert isinstance(call.request, LogLikelihood)
        pairs = self.prompts.pairs(self.prompts.render(call.request.prefix), call.request.continuations)
        fitted = [fit(pair, self.max_length) for pair in pairs]
        return [pair for pair, _ in fitted], any(cut for _, cut in fitted)

    def _windows(self, request: Perplexity) -> list[TokenPair]:
        length = self.max_length if request.max_length is None else request.max_length
        if not 1 <= length <= self.max_length:
            raise Unanswerable(f"max_length must be from 1 to {self.max_length}, the model's context, got {length}")
        if request.stride is not None and not 1 <= request.stride <= length:
            raise Unanswerable(f"stride must be from 1 to {length}, the tokens that are read at once, got {request.stride}")
        tokens, first = self.prompts.bare(request.text), self.prompts.prefix_token
        if request.bos is True and self.prompts.tokenizer.bos_token_id is None:
            raise Unanswerable("bos is true, but the model's tokenizer has no beginning-of-sequence token: write bos: auto, "
                               "which reads the end-of-text token in its place")
        # A text that brings the token along does not get it twice.
        is_bare = request.bos is False or tokens[:1] == [first]
        return rolling_windows(tokens, None if is_bare else first, length, request.stride)

    # ── text ──

    def generate(self, calls: Sequence[Call]) -> Iterator[Output]:
        """Outputs of Generate calls, all written side by side."""
        started = time.perf_counter()
        asked: list[tuple[Call, Task, bool]] = []
        for call in calls:
            assert isinstance(call.request, Generate)
            try:
                prompt, truncated = self._prompt(call.request)
            except Unanswerable as error:
                yield _failed(call, str(error))
                continue
            asked.append((call, Task(prompt, call.request.decoding, row_seed(call)), truncated))
        tasks = [task for _, task, _ in asked]
        answer = partial(write, self.model, self.prompts.tokenizer, ends=self.ends)
        results = halving(tasks, answer) if tasks else []
        latency = time.perf_counter() - started
        for (call, task, truncated), result in zip(asked, results):
            if result is None:
                yield _failed(call, _TOO_LITTLE_MEMORY.format(device=self.device))
            else:
                yield _written(call, task, truncated, result, latency)

    def _prompt(self, request: Generate) -> tuple[list[int], bool]:
        """Token ids of a prompt, cut from the left so that ``max_tokens`` more fit, and whether they were cut."""
        wanted = request.decoding.max_tokens
        if not 1 <= wanted < self.max_length:
            raise Unanswerable(f"max_tokens must be from 1 to {self.max_length - 1} (one less than the context), got {wanted}")
        tokens = self.prompts.encode(self.prompts.render(request.prompt)) or [self.prompts.prefix_token]
        room = self.max_length - wanted
        return tokens[-room:], len(tokens) > room


def _failed(call: Call, reason: str) -> Output:
    return Output(call.key, None, error=reason, finish_reason="error")


def _lists_tokens(call: Call) -> bool:
    return isinstance(call.request, Perplexity) and call.request.token_logprobs


def _likelihoods(call: Call, pairs: Sequence[TokenPair], scored: Sequence[Scored]) -> Likelihoods:
    lengths = [len(continuation) for _, continuation in pairs]
    if not isinstance(call.request, Perplexity):
        return Likelihoods(tuple(s.logprob for s in scored), tuple(lengths), tuple(s.is_greedy for s in scored))
    text, lists_tokens = call.request.text, call.request.token_logprobs
    return Likelihoods((sum(s.logprob for s in scored),), (sum(lengths),), (all(s.is_greedy for s in scored),),
                       n_words=_count_words(text), n_bytes=len(text.encode("utf-8")),
                       token_logprobs=tuple(chain.from_iterable(s.token_logprobs for s in scored)) if lists_tokens else None,
                       token_entropies=tuple(chain.from_iterable(s.token_entropies for s in scored)) if lists_tokens else None)


def _count_words(text: str) -> int:
    """Words as lm-evaluation-harness counts them: the pieces between runs of white space, empty ones too."""
    return len(re.split(r"\s+", text))


def _written(call: Call, task: Task, truncated: bool, result: Written, latency: float) -> Output:
    return Output(call.key, Text(result.text), finish_reason=result.finish_reason, truncated=truncated,
                  usage=Usage(len(task.prompt), result.n_tokens), timing=Timing(latency, result.first_token_s))
