"""Runs that several tests look at and none writes."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.gate.runs import Nights


@dataclass(frozen=True)
class Some:
    """400 questions: ``good`` has 80 wrong; ``same`` the same 80; ``worse`` these and 40 more; ``broken`` cannot answer 8."""

    nights: Nights
    good: Path
    same: Path
    worse: Path
    broken: Path


@pytest.fixture(scope="session")
def some(tmp_path_factory: pytest.TempPathFactory) -> Some:
    nights = Nights(tmp_path_factory.mktemp("nights"))
    nights.write(metrics="exact_match, token_f1, error_rate, length_ratio")
    wrong = range(80)
    return Some(nights, nights.run(wrong), nights.run(wrong), nights.run(range(120)), nights.run(wrong, failed=range(392, 400)))


@pytest.fixture
def nights(tmp_path: Path) -> Nights:
    made = Nights(tmp_path, n=40)
    made.write()
    return made
