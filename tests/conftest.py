"""Fixtures that every part of the tests may use."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

# The same examples every time: what is found by chance is found at a desk, with HYPOTHESIS_EXPLORE=1, and not in a gate. Nor is
# a busy machine a fault of the code: no example has a deadline.
settings.register_profile("the same", derandomize=not os.environ.get("HYPOTHESIS_EXPLORE"), deadline=None,
                          suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("the same")

ROOT = Path(__file__).resolve().parent.parent


@pytest.fixture(scope="session")
def project_root() -> Path:
    return ROOT


@pytest.fixture(scope="session")
def shared_data() -> Callable[[str], Path]:
    """``shared_data("wmt17_ende/reference.de.txt")`` -> its path; skips where the real data sets are not there."""
    root = Path(os.environ.get("HARNESS_SHARED_DATA", ROOT.parent / "shared" / "data"))

    def locate(name: str) -> Path:
        path = root / name
        if not path.exists():
            pytest.skip(f"real data {name} is not at {root} (set HARNESS_SHARED_DATA)")
        return path

    return locate


@pytest.fixture(autouse=True)
def _no_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    """What is printed is printed as into a pipe, however wide the terminal is that the tests run in."""
    monkeypatch.delenv("COLUMNS", raising=False)
