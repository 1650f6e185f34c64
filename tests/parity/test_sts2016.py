"""SemEval-2016 STS through ``harness run``: all-MiniLM-L6-v2 correlates as sentence-transformers and scipy say it does."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from scipy import stats

from tests.e2e.real import download, harness
from tests.models.real import MINILM
from tests.parity.embedded import encoder

SETS = {"answer-answer": 254, "question-question": 209, "postediting": 244}
WINNER = {"answer-answer": 0.692, "question-question": 0.687, "postediting": 0.835}
"""Pearson correlation of Samsung Poland EN1 (SOURCES.md): another system, so that only the order of magnitude is asked for."""

TASK = """\
task: {name}
suite: embedding
data: {{format: tsv, path: {path}, columns: [score, sentence1, sentence2]}}
sample: {{target: "{{{{ score }}}}"}}
kind: pairs
metrics: [sts_spearman, sts_pearson]
"""


@pytest.mark.slow
def test_minilm_on_sts2016(shared_data: Callable[[str], Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    download(MINILM, "sentence_transformers")
    from sentence_transformers import SentenceTransformer

    model = SentenceTransformer(str(encoder()._require().model.tokenizer.name_or_path), device="cpu", local_files_only=True)
    expected = {}
    for name, n in SETS.items():
        lines = shared_data(f"sts2016/{name}.test.tsv").read_text("utf-8").split("\n")
        scored = [line.split("\t") for line in lines if line and line.split("\t")[0]]
        assert len(scored) == n
        path = tmp_path / f"{name}.tsv"
        path.write_text("".join("\t".join(row[:3]) + "\n" for row in scored), encoding="utf-8")
        (tmp_path / f"{name}.yaml").write_text(TASK.format(name=name, path=path.as_posix()), encoding="utf-8")
        first, second = (model.encode([row[i] for row in scored]).astype(np.float64) for i in (1, 2))
        cosines = (first * second).sum(axis=1) / np.linalg.norm(first, axis=1) / np.linalg.norm(second, axis=1)
        gold = [float(row[0]) for row in scored]
        expected[name] = {"sts_spearman": stats.spearmanr(cosines, gold)[0], "sts_pearson": stats.pearsonr(cosines, gold)[0]}
    config = (f'models: {{minilm: {{backend: sentence_encoder, source: "{MINILM}", device: cpu, threads: 1}}}}\n'
              f"tasks: [{', '.join(f'{name}.yaml' for name in SETS)}]\n")  # fmt: skip
    (tmp_path / "run.yaml").write_text(config, encoding="utf-8")
    values = harness("run", "run.yaml", "--json", cwd=tmp_path).values
    with capsys.disabled():
        for name, both in expected.items():
            found = {what: values["minilm", name, what] for what in both}
            print(f"\nSTS-2016 {name}: Spearman {found['sts_spearman']:.4f}, Pearson {found['sts_pearson']:.4f} "
                  f"(winner of 2016: Pearson {WINNER[name]})", end="")  # fmt: skip
            assert found["sts_pearson"] == pytest.approx(both["sts_pearson"], abs=1e-6)
            assert found["sts_spearman"] == pytest.approx(both["sts_spearman"], abs=1e-4)  # float noise may swap two ranks
            assert abs(found["sts_pearson"] - WINNER[name]) < 0.12
