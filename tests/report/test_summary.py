"""The tables of ``harness show``."""

from __future__ import annotations

from harness.report.summary import summary_tables
from tests.report.records import two_worlds


def test_tasks_slices_and_reasons_each_in_a_table() -> None:
    slices = {"entry": "dense", "model": "dense", "cell": "", "task": "passages", "metric": None, "table": "slices",
              "columns": ["slice", "group", "metric", "value", "low", "high", "n", "n_missing"],
              "rows": [["topic", "law", "ndcg@10", 0.5, 0.4, 0.6, 40, 0], ["topic", "law", "recall@10", 0.9, 0.8, 1.0, 40, 0],
                       ["topic", "art", "ndcg@10", None, None, None, 0, 3]]}  # fmt: skip
    made = two_worlds()
    made = type(made)(**{
        **{name: getattr(made, name) for name in made.__dataclass_fields__},
        "tables": (slices,),
        "counts": {"units": {"bm25 × passages": {}, "smollm2 [temperature=0] × summaries": {"errors": {"no memory": 30}}}},
    })  # fmt: skip
    tables = {table.title: table.rows for table in summary_tables(made)}
    assert list(tables) == [
        "intents (* primary metric)", "summaries (* primary metric)", "passages (* primary metric)", "passages, by slice",
        "missing outputs",
    ]  # fmt: skip
    assert tables["summaries (* primary metric)"] == (
        ("ter ↓*", "smollm2 [temperature=0]", "n/a", "", "0", "30", "no sample could be scored: out of memory"),
    )
    assert tables["passages, by slice"] == (
        ("topic=law", "dense", "ndcg@10", "0.50", "[0.40, 0.60]", "40", ""),
        ("topic=art", "dense", "ndcg@10", "n/a", "", "0", "3"),
    )
    assert tables["missing outputs"] == (("smollm2 [temperature=0]", "summaries", "30", "no memory"),)
    assert [table.title for table in summary_tables(made, task="intents")] == ["intents (* primary metric)"]
    (only,) = summary_tables(made, task="passages", entry="bm25")
    assert [row[1] for row in only.rows] == ["bm25"]
