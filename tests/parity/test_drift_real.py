"""Drift of real texts by a real encoder: questions to a bank, and the same questions about something else."""

from __future__ import annotations

import csv
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import platformdirs
import pytest

from harness.drift import drift
from tests.drift.runs import write_run
from tests.models.real import MINILM
from tests.parity.embedded import encoder

CONFIG = {"roles": {"encoder": {"backend": "sentence_encoder", "source": MINILM}}}


@pytest.mark.slow
def test_questions_about_one_topic_are_not_questions_about_another(
    tmp_path: Path, shared_data: Callable[[str], Path]
) -> None:
    """120 banking questions against 120 others of the same topics, and against 120 about cards only."""
    encoder()  # skips where the weights cannot be had
    with shared_data("banking77/test.csv").open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    order = np.random.default_rng(0).permutation(len(rows))
    mixed = [rows[i]["text"] for i in order if "card" not in rows[i]["category"]]
    cards = [rows[i]["text"] for i in order if "card" in rows[i]["category"]]
    base, same, other = (_run(tmp_path / name, texts) for name, texts in (("base", mixed[:120]), ("same", mixed[120:240]),
                                                                          ("other", cards[:120])))
    cache = Path(platformdirs.user_cache_dir("harness-eval"))
    (alike,), (apart,) = (drift(run, base, ["input_mmd"], cache_dir=cache) for run in (same, other))
    assert (alike.p_value or 0) > 0.05
    assert apart.p_value == pytest.approx(1 / 500)
    assert (apart.low or 0) > 0
    assert apart.evidence.p_above(0.0) < 1e-6


def _run(folder: Path, prompts: Sequence[str]) -> Path:
    rows = [{"prompt": text, "sample_id": f"{folder.name}{i}"} for i, text in enumerate(prompts)]
    return write_run(folder, rows, config=CONFIG)
