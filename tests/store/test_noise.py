"""What was measured of the noise of configs: kept by config, checked when read."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from harness.errors import StoreError
from harness.store.noise import NOISE, RunNoise, noise_of, read_noise, write_noise

FOUND = {"good": {"capitals": {"exact_match": RunNoise(0.0004, 4.0, 0.03, 200, (0.7, 0.74, 0.71))}}}


def test_noise_comes_back_config_by_config(tmp_path: Path) -> None:
    assert read_noise(tmp_path, "nightly") == {}
    write_noise(tmp_path, "nightly", ["r1", "r2", "r3"], FOUND)
    write_noise(tmp_path, "other", [], {})
    assert read_noise(tmp_path, "nightly") == FOUND
    assert noise_of(FOUND, "good", "capitals", "exact_match") == RunNoise(0.0004, 4.0, 0.03, 200, (0.7, 0.74, 0.71))
    assert noise_of(FOUND, "good", "capitals", "bleu") is None
    assert json.loads((tmp_path / NOISE).read_text())["configs"]["nightly"]["runs"] == ["r1", "r2", "r3"]


def test_what_is_measured_anew_takes_the_place_of_the_old(tmp_path: Path) -> None:
    write_noise(tmp_path, "nightly", ["r1"], {"gone": FOUND["good"]})
    write_noise(tmp_path, "nightly", ["r2"], FOUND)
    assert list(read_noise(tmp_path, "nightly")) == ["good"]


@pytest.mark.parametrize(("change", "message"), [
    ({"variance": -1.0}, "variance must be a number of at least 0, got -1.0"),
    ({"variance": float("nan")}, "variance must be a number of at least 0, got nan"),
    ({"dof": 0.0}, "dof must be a number above 0, got 0.0"),
    ({"sd": None}, "sd must be a number"),
    ({"values": (0.1, float("inf"))}, "values must be numbers"),
])  # fmt: skip
def test_what_is_no_noise_is_refused(change: dict[str, Any], message: str) -> None:
    with pytest.raises(StoreError, match=message):
        RunNoise(**{"variance": 0.1, "dof": 4.0, "sd": 0.1, "n": 5, **change})


@pytest.mark.parametrize(("text", "message"), [
    ("x", "is damaged"),
    ('{"schema": 7}', "has schema 7"),
    ('{"schema": 1, "configs": 3}', "configs must be an object"),
    ('{"schema": 1, "configs": {"nightly": {"noise": {"e": 5}}}}', "is not entry, task, metric, noise"),
    ('{"schema": 1, "configs": {"nightly": {"noise": {"e": {"t": {"m": {"variance": 1}}}}}}}', "is not entry, task, metric"),
    ('{"schema": 1, "configs": {"nightly": {"noise": {"e": {"t": {"m": {"variance": -1, "dof": 1, "sd": 1, "n": 1}}}}}}}',
     "'nightly': noise: variance must be"),
])  # fmt: skip
def test_damage_is_told(tmp_path: Path, text: str, message: str) -> None:
    (tmp_path / NOISE).write_text(text)
    with pytest.raises(StoreError, match=message):
        read_noise(tmp_path, "nightly")


def test_a_damaged_file_is_not_written_over(tmp_path: Path) -> None:
    (tmp_path / NOISE).write_text("x")
    with pytest.raises(StoreError, match="it is not written over"):
        write_noise(tmp_path, "nightly", [], FOUND)
    assert (tmp_path / NOISE).read_text() == "x"
