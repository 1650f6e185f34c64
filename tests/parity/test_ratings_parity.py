"""Human ratings of real data: the golden scores of LLMFAO, and krippendorff and scipy on the same tables."""

from __future__ import annotations

import csv
import json
import math

import krippendorff
import numpy as np
import pytest
import scipy.stats

from harness.ratings.raters import Settings
from harness.ratings.reading import Named
from harness.ratings.report import rate

QUICK = Settings(n_bootstrap=60)


@pytest.fixture(scope="module")
def llmfao(shared_data):
    path = shared_data("llmfao_pairwise/llmfao.csv")
    with shared_data("llmfao_pairwise/llmfao-golden.csv").open(encoding="utf-8") as stream:
        golden = {(row["algorithm"], row["item"]): float(row["score"]) for row in csv.DictReader(stream)}
    return rate([path], settings=QUICK), golden, path


@pytest.mark.parametrize(("method", "tolerance"), [
    ("bradley_terry", 1e-6), ("newman", 1e-5), ("elo", 1e-9), ("average_win_rate", 1e-12),
])  # fmt: skip
def test_ratings_equal_the_golden_file(llmfao, method, tolerance):
    report, golden, _ = llmfao
    ours = {row.system: row.ratings[method].value for row in report.board.rows}
    theirs = {item: score for (algorithm, item), score in golden.items() if algorithm == method}
    assert len(ours) == len(theirs) == 59
    scale = math.exp(np.mean([math.log(value) for value in theirs.values()])) if method == "newman" else 1.0
    if method == "newman":  # strengths are known up to a factor
        ours = {item: value * scale for item, value in ours.items()}
    if method == "bradley_terry":
        total = sum(theirs.values())
        theirs = {item: value / total for item, value in theirs.items()}
    assert ours == pytest.approx(theirs, rel=tolerance)


def test_what_is_known_of_llmfao(llmfao):
    report, _, _ = llmfao
    assert (report.n, report.n_raters, report.kind) == (8931, 124, "pairwise")
    counts = np.array([(row.wins, row.ties, row.losses) for row in report.board.rows]).sum(axis=0)
    assert counts.tolist() == [2911 + 2549, 2 * 3471, 2911 + 2549]
    assert (report.board.left_wins, report.board.decided) == (2911, 5460)
    assert report.board.left_p == pytest.approx(scipy.stats.binomtest(2911, 5460).pvalue, rel=1e-9)
    assert report.board.rows[0].system == "GPT 4"
    assert report.board.rows[0].ratings["bradley_terry"].value == pytest.approx(0.041218, abs=1e-6)


def test_alpha_equals_the_package_krippendorff(llmfao):
    report, _, path = llmfao
    with path.open(encoding="utf-8") as stream:
        rows = list(csv.DictReader(stream))
    units, workers = {}, sorted({row["worker"] for row in rows})
    for row in rows:
        pair = tuple(sorted((row["left"], row["right"])))
        points = {"left": 1.0, "right": 0.0, "tie": 0.5}[row["winner"]]
        points = points if row["left"] == pair[0] else 1 - points
        units.setdefault((row["prompt"], pair), {}).setdefault(row["worker"], points)
    table = np.array([[unit.get(worker, np.nan) for unit in units.values()] for worker in workers])
    assert np.isfinite(table).sum() == 8931  # nobody judged one twice
    found = {one.name: one.value for one in report.agreement}
    for level in ("nominal", "ordinal"):
        theirs = krippendorff.alpha(reliability_data=table, level_of_measurement=level)
        assert found[f"krippendorff_alpha({level})"] == pytest.approx(theirs, rel=1e-9)


def test_topical_chat_systems(shared_data):
    """System means of the human scores; humans are apart from every decoder and from each other."""
    path = shared_data("topical_chat_judgements/topical_chat.json")
    rows = json.loads(path.read_text(encoding="utf-8"))
    report = rate([path], Named(score="scores.overall"), settings=QUICK)
    by_system = {}
    for row in rows:
        by_system.setdefault(row["system_id"], []).append(row["scores"]["overall"])
    assert {row.system: row.mean.value for row in report.board.rows} == pytest.approx(
        {system: np.mean(scores) for system, scores in by_system.items()}
    )
    for row in report.board.rows:
        scores = np.array(by_system[row.system])
        half = scipy.stats.t.ppf(0.975, len(scores) - 1) * scores.std(ddof=1) / math.sqrt(len(scores))
        assert row.mean.high - row.mean.value == pytest.approx(half, rel=0.05)
    ranks = {row.system: row.rank for row in report.board.rows}
    assert (ranks["New Human Generated"], ranks["Original Ground Truth"]) == (1, 2)
    first, second = (np.array(by_system[name]) for name in ("New Human Generated", "Original Ground Truth"))
    assert scipy.stats.ttest_rel(first, second).pvalue < 0.05


def test_a_rater_by_rater_look_needs_raters(llmfao):
    report, _, _ = llmfao
    assert len(report.raters) == 124
    assert [line.agreement for line in report.raters] == sorted(line.agreement for line in report.raters)
    assert all(line.severity is None for line in report.raters)
