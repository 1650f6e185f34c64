"""What drift finds between two runs on disk: each measure against numbers that were worked out by hand or by the reference."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from scipy.spatial.distance import jensenshannon

from harness.drift import MEASURES, Drift, drift
from harness.drift import units as units_module
from harness.errors import StoreError, UsageError
from tests.drift.runs import write_run

Rows = Sequence[Mapping[str, Any]]
WORDS = ("red", "green", "blue", "black", "white")


def found(tmp_path: Path, base: Rows, run: Rows, *names: str, **options: Any) -> dict[str, Drift]:
    """The drifts of one entry on one task, by measure."""
    folders = write_run(tmp_path / "run", run, **options), write_run(tmp_path / "base", base, **options)
    drifts = drift(*folders, names or None)
    assert len({(one.task, one.entry) for one in drifts}) == 1
    return {one.measure: one for one in drifts}


def texts(seed: int, n: int = 200, words: Sequence[str] = WORDS, length: int = 6) -> list[dict[str, Any]]:
    rng = np.random.default_rng(seed)
    return [{"text": " ".join(rng.choice(words, size=length))} for _ in range(n)]


def test_the_same_run_has_no_drift(tmp_path: Path) -> None:
    rows = texts(0)
    drifts = found(tmp_path, rows, rows)
    assert set(drifts) == {name for name, measure in MEASURES.items() if not measure.needs_encoder}
    for name, one in drifts.items():
        if name != "number_psi":
            assert (one.value, one.p_value) == (0.0, 1.0), name
    assert (drifts["number_psi"].value, drifts["number_psi"].reason) == (None, "the answers are not numbers")


def test_inputs_that_are_the_same_are_certain_and_outputs_are_not(tmp_path: Path) -> None:
    rows = texts(0, n=20)
    drifts = found(tmp_path, rows, rows)
    assert (drifts["input_js"].low, drifts["input_js"].high, drifts["input_js"].reason) == (0.0, 0.0, "the inputs are the same")
    assert drifts["input_js"].evidence.p_below(1e-6) == 0.0
    assert drifts["output_js"].evidence.p_below(0.05) > 0.05  # 20 equal outputs
    assert drifts["output_js"].evidence.p_below(0.2) < 0.05


def test_words_that_are_replaced_are_a_divergence(tmp_path: Path) -> None:
    """Outputs of other words altogether: 1 bit. Prompts of which half of the words are others: 0.5 bits."""
    base = [{"text": "alpha beta", "prompt": "one two", "sample_id": f"a{i}"} for i in range(60)]
    run = [{"text": "gamma delta", "prompt": "one three", "sample_id": f"b{i}"} for i in range(60)]
    drifts = found(tmp_path, base, run, "output_js", "input_js")
    assert drifts["output_js"].value == pytest.approx(1.0)
    assert drifts["input_js"].value == pytest.approx(0.5)
    assert drifts["output_js"].p_value == pytest.approx(1 / 500)


def test_the_divergence_is_that_of_scipy_but_for_what_chance_makes(tmp_path: Path) -> None:
    base, run = texts(1, n=2000), [{"text": row["text"].replace("red", "green")} for row in texts(2, n=2000)]
    said = [" ".join(row["text"] for row in rows).split() for rows in (base, run)]
    shares = [np.array([words.count(word) for word in WORDS]) / 12000 for words in said]
    one = found(tmp_path, base, run, "output_js")["output_js"]
    assert one.value == pytest.approx(jensenshannon(*shares, base=2) ** 2, abs=2e-3)
    assert (one.low or 1) < one.value < (one.high or 0)


def test_lengths_and_their_stability_index(tmp_path: Path) -> None:
    """Lengths 1 to 10, a tenth each, against 6 to 10 only, a fifth each: Σ (a - e) ln(a / e), shares of 0 counting as 1e-4."""
    base = [{"text": " ".join(["w"] * (1 + i % 10))} for i in range(1000)]
    run = [{"text": " ".join(["w"] * (6 + i % 5))} for i in range(1000)]
    drifts = found(tmp_path, base, run, "output_length", "output_length_psi")
    assert (drifts["output_length"].base, drifts["output_length"].run) == (5.5, 8.0)
    assert drifts["output_length"].value == 2.5
    floor = 1e-4
    expected = 5 * (0.1 * math.log(2)) + 5 * (0.1 - floor) * math.log(0.1 / floor)
    assert drifts["output_length_psi"].value == pytest.approx(expected, rel=0.01)


def test_rates_of_refusals_errors_and_truncation(tmp_path: Path) -> None:
    refusal = {"text": "I'm sorry, but I can't help with that."}
    failed, cut = {"error": "HTTP 500"}, {"text": "so", "finish_reason": "length"}
    base = [{"text": "yes"}] * 90 + [refusal] * 10
    run = [{"text": "yes"}] * 50 + [refusal] * 30 + [failed] * 10 + [{**cut, "truncated": True}] * 10
    drifts = found(tmp_path, base, run)
    rates = {name: (round(one.base or 0, 4), round(one.run or 0, 4)) for name, one in drifts.items() if name.endswith("rate")}
    assert rates["error_rate"] == (0.0, 0.1)
    assert drifts["error_rate"].p_value == pytest.approx(2 * 0.5**10)  # ten coins, all on one side
    assert (drifts["refusal_rate"].n_base, drifts["refusal_rate"].n_run) == (100, 90)
    assert rates["refusal_rate"] == (round(10 / 90, 4), round(30 / 90, 4))  # of the 90 that answered both times
    assert rates["truncation_rate"] == (0.0, round(10 / 90, 4))
    assert rates["input_truncation_rate"] == (0.0, round(10 / 90, 4))


def test_what_failed_has_no_length(tmp_path: Path) -> None:
    """Nor has its repeat more to say than another sample's one answer: 2, 2 and 6 words are 4, and not 10/3."""
    base = [{"text": "a b"}, {"text": "a b"}, {"text": "a b"}]
    run = [{"text": "a b", "sample_id": "s0", "repeat": i} for i in range(2)]
    run += [{"text": "a b c d e f", "sample_id": "s1"}, {"error": "x", "sample_id": "s2"}]
    one = found(tmp_path, base, run, "output_length")["output_length"]
    assert (one.base, one.run, one.n_run) == (2.0, 4.0, 2)


def test_repeats_are_counted_as_one_sample(tmp_path: Path) -> None:
    """Sample s0 says x in three repeats, s1 says y once: half and half, as in the base; by rows it would be 3 to 1."""
    base = [{"text": "xx"}, {"text": "yy"}] * 50
    run = [{"text": text, "sample_id": f"r{i}", "repeat": repeat} for i in range(100)
           for text, n in ((("xx", 3), ("yy", 1))[i % 2],) for repeat in range(n)]  # fmt: skip
    one = found(tmp_path, base, run, "output_js")["output_js"]
    assert (one.value, one.n_run) == (pytest.approx(0.0, abs=1e-9), 100)


def test_finish_reasons(tmp_path: Path) -> None:
    """stop 1 against stop ½, length ½: H(¾, ¼) - ½ H(½, ½) = 0.8113 - 0.5 bits."""
    base = [{"sample_id": f"a{i}"} for i in range(400)]
    run = [{"sample_id": f"b{i}", "finish_reason": ("stop", "length")[i % 2]} for i in range(400)]
    one = found(tmp_path, base, run, "finish_js")["finish_js"]
    assert one.value == pytest.approx(0.8112781 - 0.5, abs=0.005)


def test_latencies_are_quantiles_of_what_was_not_cached(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    seconds, slower = rng.exponential(1, 300), rng.exponential(1, 300) + 0.5
    base = [{"latency_s": float(s)} for s in seconds] + [{"latency_s": 99.0, "cached": True}] * 300
    run = [{"latency_s": float(s)} for s in slower] + [{"latency_s": 99.0, "cached": True}] * 300
    drifts = found(tmp_path, base, run, "latency_p50", "latency_p95")
    for name, q in (("latency_p50", 0.5), ("latency_p95", 0.95)):
        assert drifts[name].base == pytest.approx(np.quantile(seconds, q))
        assert drifts[name].run == pytest.approx(np.quantile(slower, q))
    assert 0 < (drifts["latency_p50"].low or 0) < 0.5 < (drifts["latency_p50"].high or 0)
    assert drifts["latency_p50"].unit == "s"


def test_no_latency_is_a_reason(tmp_path: Path) -> None:
    rows = [{"latency_s": None}] * 5
    one = found(tmp_path, rows, rows, "latency_p50")["latency_p50"]
    assert (one.value, one.reason) == (None, "no latencies: answers came from the cache or the backend tells none")
    assert one.evidence.p_below(9.0) == 1.0


def test_numbers_answered(tmp_path: Path) -> None:
    base = [{"kind": "number", "text": repr(float(i % 10)), "sample_id": f"a{i}"} for i in range(1000)]
    run = [{"kind": "number", "text": repr(float(i % 10 + 20)), "sample_id": f"b{i}"} for i in range(1000)]
    drifts = found(tmp_path, base, run)
    floor = 1e-4  # all of the mass in the last bin
    expected = 9 * (0.1 - floor) * math.log(0.1 / floor) + 0.9 * math.log(10)
    assert drifts["number_psi"].value == pytest.approx(expected, rel=0.01)
    assert drifts["output_js"].reason == "the answers are number, not text or labels"
    assert drifts["refusal_rate"].reason == "the answers are not text"


def test_labels_are_words(tmp_path: Path) -> None:
    base = [{"kind": "label", "text": "yes", "sample_id": f"a{i}"} for i in range(50)]
    run = [{"kind": "label", "text": "no", "sample_id": f"b{i}"} for i in range(50)]
    assert found(tmp_path, base, run, "output_js")["output_js"].value == pytest.approx(1.0)


def test_repeats_share_one_vote_and_groups_are_one_draw(tmp_path: Path) -> None:
    """Sample s0 fails in three of four repeats, s1 in none: 0.375, not 3 of 5."""
    base = [{"sample_id": "s0"}, {"sample_id": "s1"}]
    run = [{"sample_id": "s0", "repeat": i, "error": "x" if i else None} for i in range(4)] + [{"sample_id": "s1"}]
    assert found(tmp_path, base, run, "error_rate")["error_rate"].value == pytest.approx(0.375)
    others = [{**row, "sample_id": f"other {row['sample_id']}"} for row in base]
    assert found(tmp_path / "u", others, run, "error_rate")["error_rate"].value == pytest.approx(0.375)
    grouped = [{**row, "group": "one"} for row in base], [{**row, "group": "one"} for row in run]
    one = found(tmp_path / "g", *grouped, "error_rate")["error_rate"]
    assert (one.value, one.low, one.reason) == (pytest.approx(0.375), None, "one group")


def test_words_follow_the_language_of_the_task(tmp_path: Path) -> None:
    base, run = [{"text": "мир"}] * 30, [{"text": "дом"}] * 30
    assert found(tmp_path / "en", base, run, "output_js", language="en")["output_js"].value is None  # no word of a-z
    assert found(tmp_path / "ru", base, run, "output_js", language="ru")["output_js"].value == pytest.approx(1.0)


def test_prompts_that_are_not_kept_are_read_from_the_sample(tmp_path: Path) -> None:
    base = [{"prompt": None, "sample": '{"input": {"q": "alpha"}}', "sample_id": f"a{i}"} for i in range(40)]
    run = [{"prompt": None, "sample": '{"input": {"q": "beta"}}', "sample_id": f"b{i}"} for i in range(40)]
    assert found(tmp_path, base, run, "input_js")["input_js"].value == pytest.approx(1.0)


@pytest.mark.slow
def test_steady_runs_alarm_no_more_often_than_they_may(tmp_path: Path) -> None:
    """80 pairs of runs of one population, half of them of the same samples: 4 p-values below 0.05 are expected."""
    alarms = dict.fromkeys(("output_js", "output_length", "output_length_psi"), 0)
    for seed in range(80):
        rng = np.random.default_rng(seed)
        rows = [[{"text": " ".join(rng.choice(WORDS, size=rng.integers(3, 9))), "sample_id": f"{side if seed % 2 else ''}{i}"}
                 for i in range(40)] for side in (1, 2)]  # fmt: skip
        for name, one in found(tmp_path / str(seed), rows[0], rows[1], *alarms).items():
            alarms[name] += one.p_value is not None and one.p_value < 0.05
    assert max(alarms.values()) <= 10  # exceeded by chance once in 300
    assert min(alarms.values()) >= 1


def test_the_size_of_a_difference_is_what_a_rule_asks(tmp_path: Path) -> None:
    """Shorter outputs are drift as longer ones are."""
    base, run = texts(1, length=10), texts(2, length=6)
    one = found(tmp_path, base, run, "output_length")["output_length"]
    assert one.value == -4.0
    assert one.evidence.p_above(1.0) < 0.001
    assert one.evidence.p_below(1.0) == pytest.approx(1.0)
    assert one.evidence.lower(0.05) > 1.0


def test_one_sample_does_not_tell_how_many_are_needed(tmp_path: Path) -> None:
    """Nor does it beside several of the other run, whose spread alone is known."""
    texts = ["red", "red green", "red blue", "red black", "white"]
    one = found(tmp_path, [{"text": text} for text in texts], [{"text": "red green"}], "output_js")["output_js"]
    assert (one.reason, one.n_base, one.n_run, one.evidence.error > 0) == ("one sample", 5, 1, True)
    assert one.evidence.needed_n(0.1, alpha=0.05) is None


def test_the_needed_n_decides(tmp_path: Path) -> None:
    """A quarter of the size needs as many more: half the distance, four times the samples."""
    rng = np.random.default_rng(0)
    rows = [[{"latency_s": rng.exponential(), "sample_id": f"{side}{i}"} for i in range(200)] for side in "ab"]
    evidence = found(tmp_path, *rows, "latency_p50")["latency_p50"].evidence
    near, far = evidence.needed_n(0.1, alpha=0.05), evidence.needed_n(0.2, alpha=0.05)
    assert (near or 0) / (far or 1) == pytest.approx(4.0, rel=0.01)


def test_many_texts_are_looked_at_by_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(units_module, "MOST_TEXTS", 100)
    rows = texts(0, n=1000)
    drifts = found(tmp_path, rows, rows, "output_js", "error_rate")
    assert 60 < drifts["output_js"].n_run < 140
    assert drifts["error_rate"].n_run == 1000


# ── embeddings ──────────────────────────────────────────────────────────────────────────────────────────────────────


def embed(given: Sequence[str]) -> np.ndarray:
    """Two numbers of a text that are easy to see: its length, and how often it says "red"."""
    return np.array([[len(text) / 10, float(text.count("red"))] for text in given])


def test_embedded_outputs(tmp_path: Path) -> None:
    folders = write_run(tmp_path / "b", texts(1)), write_run(tmp_path / "a", texts(2))
    changed = write_run(tmp_path / "c", texts(1, words=("red", "redder")))
    same, other = (drift(run, folders[1], ["output_mmd"], encode=embed)[0] for run in (folders[0], changed))
    assert (same.p_value or 0) > 0.05
    assert other.p_value == pytest.approx(1 / 500)
    assert (other.value or 0) > 10 * abs(same.value or 0)


def test_a_measure_that_embeds_needs_the_role(tmp_path: Path) -> None:
    folders = write_run(tmp_path / "b", texts(1)), write_run(tmp_path / "a", texts(2))
    with pytest.raises(UsageError, match="output_mmd needs an encoder, and run b has no role 'encoder'"):
        drift(*folders, ["output_mmd"])


# ── what cannot be measured ─────────────────────────────────────────────────────────────────────────────────────────


def test_an_unknown_measure_is_told_with_the_nearest(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"drift: unknown measure 'output_jss'; did you mean 'output_js'\?"):
        drift(tmp_path, tmp_path, ["output_jss"])


def test_runs_without_a_task_in_common(tmp_path: Path) -> None:
    folders = write_run(tmp_path / "b", texts(1)), write_run(tmp_path / "a", [{**row, "task": "u"} for row in texts(1)])
    with pytest.raises(UsageError, match="drift: b and a have no entry on a task in common"):
        drift(*folders)


def test_a_damaged_run_is_told(tmp_path: Path) -> None:
    folders = write_run(tmp_path / "b", texts(1)), write_run(tmp_path / "a", texts(1))
    (folders[0] / "samples.parquet").write_text("x")
    with pytest.raises(StoreError, match=r"samples\.parquet is damaged"):
        drift(*folders)
    with pytest.raises(StoreError, match="is not a finished run"):
        drift(tmp_path, folders[1])


@pytest.mark.parametrize("n", [0, 1])
def test_one_sample_is_no_evidence(tmp_path: Path, n: int) -> None:
    """Nor are none: all failed."""
    rows = texts(1, n=1) if n else [{"error": "x"}]
    drifts = found(tmp_path, rows, [{**row, "text": "another"} if n else row for row in rows])
    for name, one in drifts.items():
        if MEASURES[name].side == "outputs":
            assert one.evidence.p_above(0.0) == 1.0, name
            assert one.evidence.p_below(0.5) == 1.0, name
            assert one.value is None or one.reason, name


def test_entries_pair_by_name_and_single_ones_whatever_their_names(tmp_path: Path) -> None:
    both = [{**row, "model": model} for model in ("x", "y") for row in texts(1, n=5)]
    two = write_run(tmp_path / "two", both), write_run(tmp_path / "more", both)
    assert [one.entry for one in drift(*two, ["error_rate"])] == ["x", "y"]
    other = [{**row, "model": "z"} for row in texts(1, n=5)]
    singles = write_run(tmp_path / "z", other), write_run(tmp_path / "m", texts(1, n=5))
    assert [one.entry for one in drift(*singles, ["error_rate"])] == ["z"]
