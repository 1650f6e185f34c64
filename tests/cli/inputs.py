"""A small file of every kind that ``harness score`` reads, under the names that ``harness list metrics NAME`` proposes."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np

_THINGS = ("mat", "bed", "sofa", "roof", "table", "tree", "box", "car", "wall", "step", "bin", "rug")
TEXTS = {
    "outputs.txt": "".join(f"the cat sat on the {thing}\n" for thing in _THINGS),
    "references.txt": "".join(f"a {thing} under {number} cats\n" for number, thing in enumerate(_THINGS)),
    "known.txt": "the cat sat\n",
    "run.trec": "q1 Q0 a 1 0.9 t\nq1 Q0 b 2 0.8 t\nq2 Q0 a 1 0.9 t\n",
    "qrels.txt": "q1 0 b 1\nq1 0 c 0\nq2 0 a 2\n",
    "exact.trec": "q1 Q0 b 1 0.9 t\nq2 Q0 a 1 0.9 t\n",
    "scores.csv": "label,score\n0,0.1\n0,0.4\n1,0.35\n1,0.8\n",
    "decisions.csv": "label,score\n" + "".join(f"{row % 2},{0.3 + 0.4 * (row % 2) + row / 100}\n" for row in range(12)),
    "predictions.csv": "target,prediction,group\n0,0,f\n1,0,f\n1,1,f\n0,1,f\n1,1,m\n1,0,m\n1,1,m\n0,0,m\n",
    "preferences.csv": "left,right,label\na,b,left\nb,c,left\na,c,tie\nb,a,right\n",
    "clusters.csv": "target,label\na,1\na,1\nb,2\nb,1\n",
    "values.csv": "value,target,low,high\n1.5,1,0.5,2.5\n2,2,1,3\n2.5,3,1.5,3.5\n5,4,4,6\n",
    "variants.csv": "item,target,label\n1,a,a\n1,a,b\n2,b,b\n2,b,b\n",
    "log.csv": "user,variant,revenue\n" + "".join(f"u{row},{('control', 'new')[row % 2]},{row * 7 % 5}\n" for row in range(20)),
    "ratings.csv": "ann,bob\n1,1\n2,2\n3,2\n3,3\n",
    "tagged.conll": "Ann B-PER\nsaw O\n\nBob B-LOC\n",
    "gold.conll": "Ann B-PER\nsaw O\n\nBob B-PER\n",
}
ROWS: dict[str, list[dict[str, object]]] = {
    "a.jsonl": [{"id": "1", "label": "x", "target": "x", "ranking": [["a", 2], ["b", 1]]},
                {"id": "2", "label": "x", "target": "y", "ranking": [["b", 2], ["a", 1]]}],
    "b.jsonl": [{"id": "1", "label": "y", "ranking": [["a", 2], ["b", 1]]},
                {"id": "2", "label": "y", "ranking": [["a", 2], ["b", 1]]}],
    "answers.jsonl": [{"text": 'In 1969 Ann said "hello there" to Bob', "contexts": ['Ann said "hello there" to Bob in 1969']}],
    "choices.jsonl": [{"choices": ["yes", "no"], "logprobs": [-1.0, -2.0], "target": "yes"},
                      {"choices": ["yes", "no"], "logprobs": [-1.0, -2.0], "target": "no"}],
    "confidences.jsonl": [{"value": value, "slices": {"set": name}} for value, name in
                          ((0.9, "in"), (0.8, "in"), (0.3, "ood"), (0.85, "ood"))],
    "intervals.jsonl": [{"value": 1.0, "low": 0.5, "high": 2.0}, {"value": 2.0, "low": 1.5, "high": 2.5}],
    "likelihoods.jsonl": [{"logprob": -3.0, "n_tokens": 2, "n_words": 2, "n_bytes": 9, "token_logprobs": [-1.0, -2.0],
                           "token_entropies": [0.5, 0.7]}] * 3,
    "outputs.jsonl": [{"text": "one", "latency_s": 0.5, "first_token_s": 0.1, "usage": {"input_tokens": 9, "output_tokens": 3},
                       "finish_reason": "stop"}] * 3,
    "masks.jsonl": [{"vector": [1, 1, 0, 0], "target": [1, 0, 0, 0]}, {"vector": [0, 1, 1, 0], "target": [0, 1, 1, 0]}],
    "series.jsonl": [{"vector": [1.0, 2.0, 3.0], "target": [1.0, 1.0, 3.0]}] * 2,
    "pairs.jsonl": [{"vectors": [[1.0, 0.0], [0.9, 0.1]], "target": 1.0, "logprobs": [-1.0, -2.0]},
                    {"vectors": [[0.0, 1.0], [1.0, 0.2]], "target": 0.0, "logprobs": [-2.0, -1.0]},
                    {"vectors": [[1.0, 1.0], [0.5, 0.7]], "target": 1.0, "logprobs": [-2.0, -1.5]}],
    "predictions.jsonl": [{"probabilities": {"a": 0.7, "b": 0.3}, "target": {"a": 0.6, "b": 0.4}},
                          {"probabilities": {"a": 0.2, "b": 0.8}, "target": {"a": 0.1, "b": 0.9}}],
    "ratings.jsonl": [{"ratings": [4, 5]}, {"ratings": [3, 5]}],
    "summaries.jsonl": [{"text": "a cat sat", "input": {"source": "there was a cat that sat down"}}],
    "triplets.jsonl": [{"vectors": [[1.0, 0.0], [0.9, 0.1], [0.0, 1.0]]}, {"vectors": [[0.0, 1.0], [1.0, 0.1], [0.1, 1.0]]}],
    "variants.jsonl": [{"text": "x", "item": "1", "input": {"text": text}} for text in ("good day", "god day")],
    "vectors.jsonl": [{"vector": vector, "target": target} for vector, target in
                      (([1.0, 0.0], 0), ([1.0, 0.1], 0), ([0.0, 1.0], 1), ([0.1, 1.0], 1))],
}


def write_inputs(folder: Path) -> None:
    """All of them."""
    for name, text in TEXTS.items():
        (folder / name).write_text(text, encoding="utf-8", newline="\n")
    for name, rows in ROWS.items():
        (folder / name).write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8", newline="\n")
    rng = np.random.default_rng(0)
    for name in ("generated.npy", "real.npy"):
        np.save(folder / name, rng.normal(size=(40, 3)))
