"""The leaderboard: who stands in which table, in what order, with which footnotes, in Markdown, JSON and on the terminal."""

from __future__ import annotations

import io
import json
from pathlib import Path

import numpy as np
import pytest
from rich.console import Console

from harness.cli.result import print_leaderboard
from harness.report.blocks import blocks, footnotes
from harness.report.leaderboard import leaderboard_markdown, write_leaderboard
from harness.report.terminal import leaderboard_tables
from harness.stats.estimate import estimate
from harness.types import RunRecord
from tests.report.records import entry, record, two_worlds

GOLDEN = """\
# demo

Run `20260101T000000Z-demo-0001`, 4 entries, 3 tasks, 2026-01-01 00:01 UTC.

| entry                     | intents: accuracy ↑ (n = 120) | summaries: ter ↓ (n = 30) |
| ------------------------- | ----------------------------- | ------------------------- |
| smollm2 [temperature=0]   | 0.512 [0.471, 0.553] (1)      | n/a                       |
| smollm2 [temperature=0.7] | 0.496 [0.450, 0.540] (1)      | –                         |

| entry | passages: ndcg@10 ↑ (n = 300) |
| ----- | ----------------------------- |
| dense | 0.712 [0.702, 0.722] (1)      |
| bm25  | 0.650 [0.640, 0.660] (2)      |

- Brackets are 95 % intervals: wilson on intents; bootstrap(percentile, 1000) on passages.
- In parentheses the rank: 1 + the number of entries that are better beyond doubt, each pair compared on the samples \
that both answered.
- –: the entry does not take the task.
- smollm2 [temperature=0] on intents: 2 of 120 samples missing; 0.503 if all of them were as bad as can be, 0.520 if as good.
- smollm2 [temperature=0] on summaries: n/a, no sample could be scored: out of memory.
"""


def three_tasks() -> RunRecord:
    """Three entries, three tasks; c takes one of them. Mean ranks: a (1 + 2) / 2, b (1 + 1) / 2, c 3."""
    tasks = [
        {"task": "t1", "metric": "m", "entries": [entry("a", 1, 0.9, 0.88, 0.92, 50), entry("b", 1, 0.89, 0.87, 0.91, 50),
                                                  entry("c", 3, 0.5, 0.45, 0.55, 50)]},
        {"task": "t2", "metric": "m", "entries": [entry("b", 1, 0.8, 0.78, 0.82, 50), entry("a", 2, 0.6, 0.58, 0.62, 50)]},
    ]  # fmt: skip
    mean = {name: {"mean_rank": rank, "tasks": n} for name, rank, n in (("a", 1.5, 2), ("b", 1.0, 2), ("c", 3.0, 1))}
    return record(tasks, mean, {"m": True})


def test_markdown() -> None:
    assert leaderboard_markdown(two_worlds()) == GOLDEN


def test_entries_are_ordered_by_mean_rank_which_is_shown_over_its_tasks() -> None:
    (block,) = blocks(three_tasks())
    assert [row.entry for row in block.rows] == ["b", "a", "c"]
    last_column = [line.split("|")[-2].strip() for line in leaderboard_markdown(three_tasks()).splitlines() if "|" in line]
    assert last_column == ["mean rank", "-----------", "1 over 2", "1.50 over 2", "3 over 1"]
    assert any("means over different tasks do not compare" in note for note in footnotes(three_tasks()))


def test_tasks_that_hang_together_through_a_third_share_a_table() -> None:
    tasks = [
        {"task": name, "metric": "m", "entries": [entry(e, 1, 0.5, 0.4, 0.6, 9) for e in entries]}
        for name, entries in (("t1", "ab"), ("t2", "x"), ("t3", "cd"), ("t4", "bc"), ("t5", "xy"))
    ]
    found = blocks(record(tasks, {}, {"m": True}))
    assert [[column.task for column in block.columns] for block in found] == [["t1", "t3", "t4"], ["t2", "t5"]]


def test_an_entry_alone_on_a_task_has_no_rank() -> None:
    alone = record([{"task": "t", "metric": "m", "entries": [entry("a", 1, 0.5, 0.4, 0.6, 9)]}], {}, {"m": None})
    assert "| a     | 0.50 [0.40, 0.60] |" in leaderboard_markdown(alone)
    assert "t: m (n = 9)" in leaderboard_markdown(alone)
    assert footnotes(alone) == ["Brackets are 95 % intervals: bootstrap(percentile, 1000)."]


def test_widened_intervals_are_told_with_their_task() -> None:
    tasks = [{"task": name, "metric": "m", "entries": [entry("a", 1, 1.0, 0.9, 1.0, 30)]} for name in ("t1", "t2", "t3")]
    methods = {"t1": "bootstrap(percentile, 1000), widened by wilson(0, 30)", "t2": "wilson",
               "t3": "cluster bootstrap(percentile, 1000), widened by wilson(0, 2)"}  # fmt: skip
    assert footnotes(record(tasks, {}, {"m": True}, methods=methods)) == [
        "Brackets are 95 % intervals: bootstrap(percentile, 1000) on t1; wilson on t2; "
        "cluster bootstrap(percentile, 1000) on t3; widened where resampling could not move the value: t1, t3."
    ]
    assert footnotes(record(tasks[:1], {}, {"m": True}, methods=methods)) == [
        "Brackets are 95 % intervals: bootstrap(percentile, 1000); widened where resampling could not move the value: t1."
    ]


def test_the_method_that_estimates_name_is_the_one_that_is_told() -> None:
    """The footnote reads the method's text: an estimate that was widened says so in the words that it looks for."""
    right = np.ones((8, 1))
    made = estimate(right, lambda stats, weights: weights @ stats[:, 0] / weights.sum(axis=1), bounds=(0.0, 1.0),
                    rng=np.random.default_rng(0))  # fmt: skip
    row = entry("a", 1, made.value, made.low, made.high, made.n)
    (note,) = footnotes(record([{"task": "t", "metric": "m", "entries": [row]}], {}, {"m": True}, methods={"t": made.method}))
    assert note == (
        "Brackets are 95 % intervals: bootstrap(percentile, 1000); widened where resampling could not move the value: t."
    )


def test_a_remark_on_an_interval_is_told() -> None:
    row = entry("a", 1, 1.0, None, None, 1, reason="one sample")
    assert footnotes(record([{"task": "t", "metric": "m", "entries": [row]}], {}, {"m": True})) == ["a on t: one sample."]


def test_missing_samples_without_known_extremes() -> None:
    row = entry("a", 1, 28.0, 26.0, 30.0, 7, n_missing=2, worst_case=None, best_case=None)
    notes = footnotes(record([{"task": "t", "metric": "bleu", "entries": [row]}], {}, {"bleu": True}))
    assert notes[-1] == "a on t: 2 of 9 samples missing; how they would have scored is not bounded."


@pytest.mark.parametrize(("name", "escaped"), [
    ("a|b", "a\\|b"), ("<img src=x>", "\\<img src=x\\>"), ("[x](http://y)", "[x]\\(http://y)"), ("two\nlines", "two lines"),
    ("*a*", "\\*a\\*"),
])  # fmt: skip
def test_names_stay_names_in_markdown(name: str, escaped: str) -> None:
    row = entry(name, 1, 0.5, 0.4, 0.6, 9)
    made = leaderboard_markdown(record([{"task": "t", "metric": "m", "entries": [row]}], {}, {"m": True}))
    assert any(line.startswith(f"| {escaped} ") for line in made.splitlines())


def test_files(tmp_path: Path) -> None:
    write_leaderboard(tmp_path, two_worlds())
    assert sorted(path.name for path in tmp_path.iterdir()) == ["leaderboard.json", "leaderboard.md"]
    assert (tmp_path / "leaderboard.md").read_text(encoding="utf-8") == GOLDEN
    document = json.loads((tmp_path / "leaderboard.json").read_text(encoding="utf-8"))
    assert (document["schema"], document["run_id"]) == (1, "20260101T000000Z-demo-0001")
    passages = document["tasks"][2]
    assert (passages["metric"], passages["higher_is_better"]) == ("ndcg@10", True)
    best = passages["entries"][0]
    assert (best["entry"], best["value"], best["level"]) == ("dense", 0.71234, 0.95)
    assert best["method"] == "bootstrap(percentile, 1000)"


# ── the terminal ────────────────────────────────────────────────────────────────────────────────────────────────────


def rendered(made: RunRecord, width: int | None) -> list[list[str]]:
    """The lines of every table, printed on a console of that width."""
    tables = []
    for table in leaderboard_tables(made, width):
        stream = io.StringIO()
        Console(file=stream, width=width or 200).print(table)
        tables.append([line.rstrip() for line in stream.getvalue().splitlines()])
    return tables


def test_a_wide_terminal_has_a_line_an_entry() -> None:
    (table,) = rendered(three_tasks(), None)
    assert table == [
        "       t1                        t2",
        "       m ↑                       m ↑",
        "entry  n = 50                    n = 50                    mean rank",
        "b      0.890 [0.870, 0.910] (1)  0.800 [0.780, 0.820] (1)  1 over 2",
        "a      0.900 [0.880, 0.920] (1)  0.600 [0.580, 0.620] (2)  1.50 over 2",
        "c      0.500 [0.450, 0.550] (3)  –                         3 over 1",
    ]


def test_a_narrow_terminal_has_intervals_below() -> None:
    (table,) = rendered(three_tasks(), 60)
    assert table[3:5] == [
        "b      0.890 (1)       0.800 (1)       1 over 2",
        "       [0.870, 0.910]  [0.780, 0.820]",
    ]


def test_a_very_narrow_terminal_has_several_tables() -> None:
    first, second = rendered(three_tasks(), 40)
    assert (first[0].strip(), second[0].strip()) == ("t1", "t2")
    assert "mean rank" in first[2]
    assert "mean rank" not in second[2]
    assert all(len(line) <= 40 for line in first + second)


def test_the_rank_is_explained_below_the_tables(capsys: pytest.CaptureFixture[str]) -> None:
    print_leaderboard(two_worlds())
    said = " ".join(capsys.readouterr().out.split())
    assert (
        "In parentheses the rank: 1 + the number of entries that are better beyond doubt, each pair compared on the samples "
        "that both answered."
    ) in said


def test_brackets_in_names_are_not_markup() -> None:
    lines = [line for table in rendered(two_worlds(), None) for line in table]
    assert any(line.startswith("smollm2 [temperature=0.7]  0.496 [0.450, 0.540] (1)") for line in lines)


def test_an_entry_that_is_not_ranked_for_its_gaps_says_so() -> None:
    gaps = {"n_missing": 39, "worst_case": 0.025, "best_case": 1.0}
    alive = [entry("good", 1, 0.9, 0.8, 0.95, 40), entry("bad", 2, 0.2, 0.1, 0.3, 40)]
    entries = [*alive, entry("dead", None, 1.0, 0.2, 1.0, 1, **gaps)]
    shown = record([{"task": "t", "metric": "accuracy", "entries": entries}], {}, {"accuracy": True})
    assert footnotes(shown)[-1] == (
        "dead on t: 39 of 40 samples missing; 0.03 if all of them were as bad as can be, 1.00 if as good; not ranked."
    )


def test_prompts_that_were_cut_and_texts_that_were_not_finished_are_told() -> None:
    tasks = [{"task": "t", "metric": "m", "entries": [entry("a", 1, 0.5, 0.4, 0.6, 200)]}]
    units = {
        "a × t": {"rows": 200, "tokens": {"input": 9, "truncated_rows": 12}, "finish_reasons": {"stop": 197, "length": 3},
                  "cost": 7.2},
        "a × u": {"rows": 50, "tokens": {}, "finish_reasons": {"stop": 50}},
    }
    shown = record(tasks, {}, {"m": True}, counts={"units": units, "notes": []})
    assert footnotes(shown)[1:] == [
        "a × t: 12 of 200 prompts were cut to fit the model's context; 3 of 200 texts ended at max_tokens; cost 7.2."
    ]
