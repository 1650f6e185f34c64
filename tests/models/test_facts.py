"""How big a model is, as the transformers backend tells it."""

from __future__ import annotations

import pytest

from harness.models.transformers import Transformers
from tests.models.real import with_loaded


def test_facts_of_smollm2(language_model: Transformers) -> None:
    # https://huggingface.co/HuggingFaceTB/SmolLM2-135M: 134,515,008 parameters, 30 layers of 9 heads of 64, embeddings tied.
    facts = language_model.facts()
    assert facts["parameters"] == facts["parameters_in_products"] == 134_515_008
    assert (facts["layers"], facts["attention_width"], facts["context"]) == (30, 576, 8192)
    # float32, and some buffers of the rotary embedding.
    assert 0 <= facts["bytes_in_memory"] - 4 * 134_515_008 < 10_000
    # Every pass of rows that share is within float noise of plain ones.
    assert facts["sharing"] == {"widest_row": 8192, "stems": True, "difference": pytest.approx(0, abs=1e-3), "why_not": None}


def test_an_embedding_of_its_own_takes_part_in_no_product(language_model: Transformers) -> None:
    transformers = pytest.importorskip("transformers")
    config = transformers.LlamaConfig(vocab_size=100, hidden_size=8, intermediate_size=16, num_hidden_layers=1,
                                      num_attention_heads=2, tie_word_embeddings=False)
    small = with_loaded(language_model, model=transformers.LlamaForCausalLM(config))
    facts = small.facts()
    # Two embeddings of 100 × 8, attention 4 · 8 · 8, gated feed-forward 3 · 8 · 16, three norms of 8.
    assert facts["parameters"] == 2 * 800 + 256 + 384 + 24
    assert facts["parameters"] - facts["parameters_in_products"] == 800
