"""Small random models of several architectures, token sequences for them, and the slow way to score those."""

from __future__ import annotations

import random
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import pytest

from harness.models.sharing import TokenPair

torch = pytest.importorskip("torch")
transformers = pytest.importorskip("transformers")

VOCABULARY = 90
SIZES: dict[str, Any] = {"vocab_size": VOCABULARY, "hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 2,
                         "max_position_embeddings": 256, "initializer_range": 0.3, "bos_token_id": 1, "eos_token_id": 2}
ROTARY = {**SIZES, "num_key_value_heads": 1, "intermediate_size": 48, "pad_token_id": None}
FIT = {
    "Llama": {**ROTARY},
    "GPT2": {"vocab_size": VOCABULARY, "n_embd": 32, "n_layer": 2, "n_head": 2, "n_positions": 256, "initializer_range": 0.3},
    "OPT": {**SIZES, "ffn_dim": 48, "word_embed_proj_dim": 32, "init_std": 0.3},
    "GPTNeoX": {**SIZES, "intermediate_size": 48},
}


def tiny(architecture: str, **options: Any) -> Any:
    """A random model with weights so large that a wrong position or a leak between branches shows in every score."""
    # Threads of so small a model wait for each other.
    torch.set_num_threads(1)
    config = getattr(transformers, f"{architecture}Config")(**options)
    with torch.random.fork_rng():
        torch.manual_seed(1)
        return transformers.AutoModelForCausalLM.from_config(config).float().eval()


def tokens(rng: random.Random, n: int) -> list[int]:
    return [rng.randrange(3, VOCABULARY) for _ in range(n)]


def requests(lengths: Sequence[int], seed: int = 0, stem: Sequence[int] = ()) -> list[list[TokenPair]]:
    """A request a length, behind the stem: five continuations of one to nine tokens; two begin alike and two are equal."""
    rng = random.Random(seed)
    groups: list[list[TokenPair]] = []
    for length in lengths:
        context, long = [*stem, *tokens(rng, length)], tokens(rng, 9)
        ends = (tokens(rng, 1), tokens(rng, 4), long, [*long[:3], *tokens(rng, 2)], long)
        groups.append([(context, one) for one in ends])
    return groups


def twin(model: Any, pairs: Sequence[TokenPair]) -> list[float]:
    """The slow, obvious way: a pass a pair, neither padded nor shared, log-softmax in float64."""
    totals = []
    for context, continuation in pairs:
        with torch.inference_mode():
            logprobs = model(torch.tensor([[*context, *continuation]])).logits[0].double().log_softmax(-1)
        totals.append(sum(float(logprobs[len(context) + i - 1, token]) for i, token in enumerate(continuation)))
    return totals


@contextmanager
def passes(model: Any) -> Iterator[list[tuple[int, int]]]:
    """Rows and columns of every pass through the model within."""
    read: list[tuple[int, int]] = []
    handle = model.register_forward_pre_hook(lambda _, __, options: read.append(tuple(options["input_ids"].shape)),
                                             with_kwargs=True)
    yield read
    handle.remove()


@contextmanager
def scarce(model: Any, most: int) -> Iterator[None]:
    """Memory for so many tokens in a pass, those that were read before it with them."""

    def refuse(_: Any, __: Any, options: dict[str, Any]) -> None:
        rows, columns = options["input_ids"].shape
        past = options.get("past_key_values")
        if rows * (columns + (past.get_seq_length() if past is not None else 0)) > most:
            raise RuntimeError("DefaultCPUAllocator: not enough memory: you tried to allocate 1 bytes.")

    handle = model.register_forward_pre_hook(refuse, with_kwargs=True)
    yield
    handle.remove()
