"""The nightly job on real models, as a user types it: a planted regression is found and named, the same again passes."""

from __future__ import annotations

import json
import xml.etree.ElementTree as ET
from pathlib import Path

import pytest

from tests.e2e.real import ROOT, Ended, cache_without_answers, download, harness
from tests.models.real import MINILM, SMOLLM2

pytestmark = pytest.mark.slow

NIGHTLY = str(ROOT / "configs" / "nightly.yaml")
WORSE = "tasks.summaries.decoding.max_tokens=1"
"""A decoding setting that leaves summaries of one token."""


@pytest.fixture(scope="module")
def nights(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the first night's run, the baseline, and the cache of its answers."""
    download(SMOLLM2, "transformers", "gguf", "accelerate")
    download(MINILM, "sentence_transformers")
    folder = tmp_path_factory.mktemp("nights")
    cache_without_answers(folder / "cache")
    assert night(folder).code == 0
    first = gate(folder, "--init")
    assert (first.code, "main" in first.err + first.out) == (0, True)
    return folder


def night(folder: Path, *sets: str) -> Ended:
    words = [word for each in sets for word in ("--set", each)]
    return harness("run", NIGHTLY, "--results", str(folder / "results"), "--cache-dir", str(folder / "cache"), "--new", *words,
                   cwd=folder)


def gate(folder: Path, *words: str) -> Ended:
    return harness("gate", "latest:nightly", "--baseline", "main", "--results", str(folder / "results"), *words, cwd=folder)


def test_the_same_model_again_passes(nights: Path) -> None:
    assert night(nights).code == 0
    said = gate(nights, "--json")
    document = json.loads(said.out)
    assert (said.code, document["verdict"]) == (0, "passed"), said.out
    assert {rule["verdict"] for rule in document["rules"]} == {"passed"}


def test_a_planted_regression_is_found_and_named(nights: Path) -> None:
    assert night(nights, WORSE).code == 0
    junit, summary = nights / "gate.xml", nights / "gate.md"
    said = gate(nights, "--json", "--junit", str(junit), "--summary", str(summary))
    document = json.loads(said.out)
    assert (said.code, document["verdict"]) == (1, "regressed"), said.out
    assert {rule["task"] for rule in document["rules"] if rule["verdict"] == "regressed"} == {"summaries"}
    failed = [case.get("name", "") for case in ET.parse(junit).getroot().iter("testcase") if case.find("failure") is not None]
    assert len(failed) == 1
    assert "summaries" in failed[0]
    assert "summaries" in summary.read_text()
    compared = harness("compare", "baseline:main", "latest:nightly", "--json", "--results", str(nights / "results"), cwd=nights)
    verdicts = {(c["task"], c["metric"]): c["verdict"] for c in json.loads(compared.out)["comparisons"]}
    assert verdicts["summaries", "rouge_l"] == "worse"
    assert verdicts["requests", "accuracy"] == "same"


def test_twenty_samples_cannot_tell(nights: Path) -> None:
    assert night(nights, "limit=20").code == 0
    refused = gate(nights)
    assert (refused.code, "prompt: sample" in refused.err) == (2, True)  # of twenty questions, two others are the examples
    said = gate(nights, "--json", "--allow", "prompt")
    document = json.loads(said.out)
    assert (said.code, document["verdict"]) == (3, "inconclusive"), said.out
    undecided = {rule["task"]: rule["needed_n"] for rule in document["rules"] if rule["verdict"] == "inconclusive"}
    assert undecided["requests"] > 20
