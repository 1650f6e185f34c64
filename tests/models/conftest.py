"""Real models, opened once a session."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from harness.models.transformers import Transformers
from tests.models.real import SMOLLM2, opened


@pytest.fixture(scope="session")
def language_model() -> Iterator[Transformers]:
    """SmolLM2-135M-Instruct in float32, on one CPU thread."""
    model: Transformers = opened(Transformers(source=SMOLLM2, device="cpu", threads=1))
    yield model
    model.close()
