"""Causal language models of a few thousand parameters with tokenizers of their own, in folders as transformers writes them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from harness.models.weights import quiet_transformers
from harness.protocols import Resources

BOS, EOS, TURN_END = "<s>", "</s>", "<|end|>"
TEMPLATE = ("{{ bos_token }}{% for message in messages %}[{{ message['role'] }}]{{ message['content'] }}<|end|>\n{% endfor %}"
            "{% if add_generation_prompt %}[assistant]{% endif %}")
CORPUS = ["The capital of France is Paris, and the capital of Peru is Lima.",
          "A question: what is water made of? An answer: atoms.",
          "Once upon a time there was a small engine that could.",
          "One, two, three, four, five, six, seven, eight, nine, ten."]


def tokenizer(*, adds_bos: bool = True, template: str | None = TEMPLATE) -> Any:
    """Byte-level BPE of 300 tokens: ``<s>`` 0, ``</s>`` 1, ``<|end|>`` 2."""
    transformers = pytest.importorskip("transformers")
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers, processors, trainers

    made = Tokenizer(models.BPE())
    made.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    made.decoder = decoders.ByteLevel()
    made.train_from_iterator(CORPUS, trainers.BpeTrainer(
        vocab_size=300, special_tokens=[BOS, EOS, TURN_END], initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False))
    if adds_bos:
        made.post_processor = processors.TemplateProcessing(single=f"{BOS} $A", pair=f"{BOS} $A $B", special_tokens=[(BOS, 0)])
    wrapped = transformers.PreTrainedTokenizerFast(
        tokenizer_object=made, bos_token=BOS, eos_token=EOS, additional_special_tokens=[TURN_END])
    wrapped.chat_template = template
    return wrapped


def write(folder: Path, *, adds_bos: bool = True, template: str | None = TEMPLATE, family: str = "llama",
          context: int = 64, spread: float = 0.02) -> Path:
    """A folder with the tokenizer and a random model of a family (llama, gpt2 or qwen2), of weights of that deviation."""
    torch = pytest.importorskip("torch")
    import transformers

    words = tokenizer(adds_bos=adds_bos, template=template)
    ids: dict[str, Any] = {"vocab_size": len(words), "bos_token_id": 0, "eos_token_id": 1, "initializer_range": spread}
    small: dict[str, Any] = {"hidden_size": 32, "intermediate_size": 64, "num_hidden_layers": 2, "num_attention_heads": 4,
                             "num_key_value_heads": 2, "max_position_embeddings": context, **ids}
    with torch.random.fork_rng():
        torch.manual_seed(0)
        if family == "gpt2":
            config = transformers.GPT2Config(n_positions=context, n_embd=32, n_layer=2, n_head=4, **ids)
            model: Any = transformers.GPT2LMHeadModel(config)
        elif family == "qwen2":
            model = transformers.Qwen2ForCausalLM(transformers.Qwen2Config(**small))
        else:
            model = transformers.LlamaForCausalLM(transformers.LlamaConfig(**small))
    with quiet_transformers():
        model.save_pretrained(folder)
    words.save_pretrained(folder)
    return folder


def resources(folder: Path, said: list[str] | None = None) -> Resources:
    """A cache beside the folder; what is said is appended to ``said``."""
    return Resources(folder.parent / "cache", say=(said if said is not None else []).append)
