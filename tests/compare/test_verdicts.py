"""The word for a comparison: better, worse, same, unclear, and what leads to it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from harness.compare import CompareOptions, Report, compare_runs
from harness.errors import UsageError
from harness.types import Comparison
from tests.compare.projects import Project, StoredRow, answered, questions, write_run


def by_hand(tmp_path: Path, a: list[float | None], b: list[float | None], **options: Any) -> Comparison:
    runs = [write_run(tmp_path / name, [StoredRow(f"s{i:04}", 0, hit) for i, hit in enumerate(hits)])
            for name, hits in (("a", a), ("b", b))]  # fmt: skip
    [found] = compare_runs(*runs, CompareOptions(**options)).comparisons
    return found


def test_better_and_worse_follow_the_direction(project: Project) -> None:
    """Word error rate: less is better. 20 samples lose their only word."""
    rows = questions(20)
    right, wrong = answered([True] * 20), answered([False] * 20)
    task = {"metrics": ["wer", "token_f1"]}
    runs = [project.run(name, rows, of, task=task) for name, of in (("a", right), ("b", wrong))]
    verdicts = {found.metric: (found.verdict, found.difference.value) for found in compare_runs(*runs).comparisons}
    assert verdicts == {"wer": ("worse", pytest.approx(0.5)), "token_f1": ("worse", pytest.approx(-0.5))}
    back = {found.metric: found.verdict for found in compare_runs(runs[1], runs[0]).comparisons}
    assert back == {"wer": "better", "token_f1": "better"}


def test_all_equal_is_the_same_with_p_1(tmp_path: Path) -> None:
    found = by_hand(tmp_path, [1.0, 0.0, 1.0], [1.0, 0.0, 1.0])
    assert (found.verdict, found.p_value, found.p_adjusted) == ("same", 1.0, 1.0)
    assert found.difference.value == 0
    assert found.difference.reason == "all pairs are equal"


def test_one_sample_is_unclear_without_interval(tmp_path: Path) -> None:
    found = by_hand(tmp_path, [1.0], [0.0])
    assert (found.verdict, found.p_value, found.p_adjusted, found.mde) == ("unclear", None, None, None)
    assert (found.difference.value, found.difference.low, found.difference.high) == (-1.0, None, None)
    assert found.difference.reason == "one sample"


def test_nothing_in_both_is_undefined(tmp_path: Path) -> None:
    found = by_hand(tmp_path, [1.0, None], [None, 0.0])
    assert (found.a, found.b, found.difference.value, found.verdict) == (None, None, None, "unclear")
    assert found.difference.reason == "no sample was scored in both"


@pytest.mark.parametrize("others", [True, None])
def test_a_run_that_answered_nothing_is_undefined(project: Project, others: bool | None) -> None:
    """No row of it was scored, so that nothing stored says how wide its statistics are."""
    rows, none = questions(12), answered([None] * 12)
    runs = [project.run(name, rows, of) for name, of in (("a", none), ("b", answered([others] * 12)))]
    for pair in (runs, runs[::-1]):
        (found,) = compare_runs(*pair).comparisons
        assert (found.verdict, found.n_pairs, found.difference.reason) == ("unclear", 0, "no sample was scored in both")


def test_few_samples_are_unclear(tmp_path: Path) -> None:
    """Three samples that all fall: by chance as often as 2 · 0.5^3."""
    found = by_hand(tmp_path, [1.0] * 3, [0.0] * 3)
    assert found.p_value == pytest.approx(0.25)
    assert found.verdict == "unclear"


def test_a_margin_asks_for_two_one_sided_tests(tmp_path: Path) -> None:
    """1,000 pairs of which 10 and 10 differ: far within ±0.05, and not shown to be within ±0.005."""
    a = [1.0] * 10 + [0.0] * 990
    b = [0.0] * 10 + [1.0] * 10 + [0.0] * 980
    assert by_hand(tmp_path / "1", a, b).verdict == "unclear"
    assert by_hand(tmp_path / "2", a, b, margin=0.05).verdict == "same"
    assert by_hand(tmp_path / "3", a, b, margin=0.005).verdict == "unclear"


def test_a_difference_within_the_margin_is_the_same_however_sure(tmp_path: Path) -> None:
    """30 of 3,000 samples lost and none won: beyond doubt, and less than 0.05."""
    a, b = [1.0] * 3000, [0.0] * 30 + [1.0] * 2970
    assert by_hand(tmp_path / "1", a, b).verdict == "worse"
    assert by_hand(tmp_path / "2", a, b, margin=0.05).verdict == "same"


@pytest.mark.parametrize(("correction", "wanted"), [("holm", 0.0625), ("none", 0.03125), ("bh", 0.03125), ("by", 0.046875)])
def test_the_correction_is_over_all_comparisons(project: Project, correction: str, wanted: float) -> None:
    """Two metrics, both with p = 2 · 0.5^6: Holm doubles the smaller, BH neither, BY both by 1 + 1/2."""
    rows = [{"id": f"q{i}", "q": "?", "a": "one two three four"} for i in range(6)]
    task = {"metrics": ["exact_match", "token_f1"], "primary": "exact_match"}
    runs = [project.run(name, rows, [{"id": f"q{i}", "text": text} for i in range(6)], task=task)
            for name, text in (("a", "one x y z"), ("b", "one two three four"))]  # fmt: skip
    report = compare_runs(*runs, CompareOptions(correction=correction))  # type: ignore[arg-type]
    assert [found.p_value for found in report.comparisons] == pytest.approx([0.03125, 0.03125])
    assert [found.p_adjusted for found in report.comparisons] == pytest.approx([wanted, wanted])
    verdict = "better" if wanted < 0.05 else "unclear"
    assert [found.verdict for found in report.comparisons] == [verdict, verdict]


def test_what_has_no_direction_is_never_better(project: Project) -> None:
    rows = questions(12)
    answers = [[{"id": f"q{i}", "text": text} for i in range(12)] for text in ("yes", "yes and no and yes")]
    runs = [project.run(name, rows, of, task={"metrics": ["length_ratio"]}) for name, of in zip("ab", answers)]
    [found] = compare_runs(*runs).comparisons
    assert found.p_adjusted is not None
    assert found.p_adjusted < 0.05
    assert found.verdict == "unclear"
    assert found.difference.reason == "neither more nor less of it is better"


def test_what_no_draw_reaches_is_left_to_t(project: Project) -> None:
    """p of 10,000 draws is 0.0001 at least: corrected for 500 comparisons nothing could ever be found."""
    rows = [{"id": f"q{i}", "q": "?", "a": "one two three four"} for i in range(60)]
    answers = [[{"id": f"q{i}", "text": " ".join(["one", "two", "three", "four"][: 1 + (i + better) % 2 + better])}
                for i in range(60)] for better in (0, 1)]  # fmt: skip
    runs = [project.run(name, rows, of, task={"metrics": ["token_f1"]}) for name, of in zip("ab", answers)]
    [found] = compare_runs(*runs).comparisons
    assert found.p_value is not None
    assert found.p_value < 1e-6
    assert found.test.startswith("t(")
    [drawn] = compare_runs(*runs, CompareOptions(test="randomization")).comparisons
    assert (drawn.p_value, drawn.test) == (pytest.approx(1 / 10001), "randomization(10000)")


def test_the_level_is_that_of_alpha(tmp_path: Path) -> None:
    a, b = [1.0] * 30 + [0.0] * 30, [0.0] * 10 + [1.0] * 25 + [0.0] * 25
    wide, narrow = (by_hand(tmp_path / str(alpha), a, b, alpha=alpha).difference for alpha in (0.01, 0.2))
    assert (wide.level, narrow.level) == (0.99, 0.8)
    assert wide.low is not None
    assert narrow.low is not None
    assert wide.low < narrow.low


def test_the_same_seed_gives_the_same_numbers(project: Project) -> None:
    rows = [{"id": f"q{i}", "q": "?", "a": "one two three four five"} for i in range(40)]
    words = ["one", "two", "three", "four", "five"]
    answers = [[{"id": f"q{i}", "text": " ".join(words[: 1 + (i * step) % (3 + step)])} for i in range(40)] for step in (2, 3)]
    runs = [project.run(name, rows, of, task={"metrics": ["token_f1"]}) for name, of in zip("ab", answers)]

    def p(**options: Any) -> Report:
        return compare_runs(*runs, CompareOptions(**options))

    assert p().comparisons == p().comparisons
    assert p(test="bootstrap", seed=1).comparisons[0].p_value != p(test="bootstrap", seed=2).comparisons[0].p_value
    assert p(test="bootstrap").comparisons[0].test == "paired bootstrap(1000)"


@pytest.mark.parametrize(
    ("option", "message"),
    [
        ({"alpha": 0.0}, "alpha must lie strictly between 0 and 1, got 0.0"),
        ({"margin": 0.0}, "margin must be a positive number, got 0.0"),
        ({"test": "wilcox"}, "test must be one of auto, randomization, bootstrap, t, got 'wilcox'"),
        ({"correction": "holmes"}, "correction must be one of holm, bh, by, none, got 'holmes'"),
        ({"allow": frozenset({"promt"})}, "allow takes data, prompt, task, got 'promt'; did you mean 'prompt'?"),
    ],
)
def test_bad_options_are_refused(tmp_path: Path, option: dict[str, Any], message: str) -> None:
    with pytest.raises(UsageError, match=message.replace("?", r"\?")):
        by_hand(tmp_path, [1.0], [1.0], **option)
