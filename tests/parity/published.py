"""Numbers that others have printed, and ours on the same data: ``python -m tests.parity.published`` prints the table.

Every figure stands in the file or the paper named beside it; those with ``computed`` were worked out with another tool (named)
on the same files. trec_eval's seven expected outputs have a test of their own (``test_trec_eval.py``), line by line; ARC and
SciFact need models and stand in ``test_arc_run.py`` and ``test_scifact.py``.
"""

from __future__ import annotations

import csv
import functools
import json
import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from harness import score
from harness.data.conll import read_conll
from harness.types import Key, Label, Output, Sample, Tags

Locate = Callable[[str], Path]


@dataclass(frozen=True)
class Published:
    """``ours`` computes the number from the data; ``digits`` are those that were printed."""

    source: str
    metric: str
    value: float
    digits: int
    ours: Callable[[Locate], float]

    @property
    def tolerance(self) -> float:
        """Half a unit of the last printed digit, and what floating point needs."""
        return 0.5 * 10**-self.digits + 1e-9


def published() -> Iterator[Published]:
    """Every row of the table."""
    yield from _squad()
    yield from _gsm8k()
    yield from _bbh()
    yield from _nlgeval()
    yield from _wmt17()
    yield from _wnut17()
    yield from _correlations()
    yield from _llmfao()


def value(spec: str, predictions: Any, references: Any = None, **options: Any) -> float:
    """The value of one metric, which must have one."""
    [result] = score(spec, predictions, references, n_bootstrap=2, **options)
    assert result.value is not None, result.estimate.reason
    return result.value


# ── answers ─────────────────────────────────────────────────────────────────────────────────────────────────────────

_SQUAD = {"bert_ensemble": (74.87, 86.32), "rnet_plus": (72.77, 83.41), "logreg": (34.60, 45.93)}


def _squad() -> Iterator[Published]:
    for system, (exact, f1) in _SQUAD.items():
        where = f"SQuAD v1.1 script (computed), XQuAD-en, {system}"
        yield Published(where, "exact_match", exact, 2, functools.partial(_squad_value, system, "exact_match"))
        yield Published(where, "token_f1", f1, 2, functools.partial(_squad_value, system, "token_f1"))


def _squad_value(system: str, spec: str, data: Locate) -> float:
    articles = json.loads(data("squad_xquad_en/xquad.en.json").read_text(encoding="utf-8"))["data"]
    questions = [qa for article in articles for paragraph in article["paragraphs"] for qa in paragraph["qas"]]
    answers = json.loads(data(f"squad_xquad_en/squad1.1_dev_predictions_{system}.json").read_text(encoding="utf-8"))
    known = [qa for qa in questions if qa["id"] in answers]
    references = {qa["id"]: [answer["text"] for answer in qa["answers"]] for qa in known}
    return 100 * value(spec, {qa["id"]: answers[qa["id"]] for qa in known}, references)


_GSM8K = {"6b_finetuning": 21.683, "6b_verification": 39.045, "175b_finetuning": 34.723, "175b_verification": 56.255}


def _gsm8k() -> Iterator[Published]:
    for system, share in _GSM8K.items():
        yield Published(f"GSM8K is_correct, {system}", "numeric_match", share, 3, functools.partial(_gsm8k_value, system))


def _gsm8k_value(system: str, data: Locate) -> float:
    lines = data("gsm8k/example_model_solutions.jsonl").read_text(encoding="utf-8").splitlines()
    rows = [json.loads(line) for line in lines]
    return 100 * value("numeric_match", [row[system]["solution"] for row in rows], [row["ground_truth"] for row in rows])


_BBH = {
    "boolean_expressions": (88.4, 92.8), "causal_judgement": (63.636, 54.011), "date_understanding": (63.6, 87.2),
    "object_counting": (45.2, 93.2), "snarks": (61.236, 59.551), "sports_understanding": (72.8, 97.6),
    "word_sorting": (50.4, 40.4),
}  # fmt: skip


def _bbh() -> Iterator[Published]:
    specs = {"direct": "exact_match(normalize=strip)", "cot": "exact_match(normalize=strip,extract=answer_is)"}
    for task, shares in _BBH.items():
        for (kind, spec), share in zip(specs.items(), shares):
            yield Published(f"BIG-Bench-Hard, code-davinci-002 {kind}, {task}", spec, share, 3,
                            functools.partial(_bbh_value, task, kind, spec))


def _bbh_value(task: str, kind: str, spec: str, data: Locate) -> float:
    path = data(f"bbh/code-davinci-002-{kind}/{task}.json")
    rows = json.loads(path.read_text(encoding="utf-8"))["outputs"]
    return 100 * value(spec, [row["prediction"] for row in rows], [row["target"] for row in rows])


# ── generated text ──────────────────────────────────────────────────────────────────────────────────────────────────

_NLGEVAL = {
    "bleu(max_order=1,tokenize=none,smooth=none)": 0.550000, "bleu(max_order=2,tokenize=none,smooth=none)": 0.428174,
    "bleu(max_order=3,tokenize=none,smooth=none)": 0.284043, "bleu(tokenize=none,smooth=none)": 0.201143,
    "coco_rouge_l": 0.522104, "cider": 1.242192,
}  # fmt: skip


def _nlgeval() -> Iterator[Published]:
    for spec, printed in _NLGEVAL.items():
        yield Published("nlg-eval README, its example", spec, printed, 6, functools.partial(_nlgeval_value, spec))


def _nlgeval_value(spec: str, data: Locate) -> float:
    hypotheses, first, second = (lines(data(f"nlgeval_examples/{name}.txt")) for name in ("hyp", "ref1", "ref2"))
    found = value(spec, hypotheses, [list(pair) for pair in zip(first, second)])
    return found / 100 if spec.startswith("bleu") else found


_SYSTEMS = ("C-3MA.4959", "KIT.4950", "LIUM-NMT.4900", "LMU-nmt-reranked.4934", "SYSTRAN.4847", "online-A.0", "online-F.0",
            "uedin-nmt.4722")  # fmt: skip
_WMT17: Mapping[tuple[str, str, int], Sequence[float]] = {
    ("mteval-v13a -c", "bleu", 2): (22.67, 26.08, 26.60, 27.11, 26.71, 20.80, 15.45, 28.30),
    ("chrF++.py -nw 0 / sacrebleu 2.4 (computed)", "chrf", 4):
        (51.9533, 55.7629, 55.9284, 56.3908, 55.5758, 52.0023, 49.2588, 57.7227),
    ("sacrebleu 2.4 (computed)", "chrf(word_order=2)", 4):
        (49.1698, 52.9893, 53.2356, 53.5793, 52.8984, 49.0469, 45.7129, 55.0097),
    ("tercom 7.25", "ter", 3): (0.669, 0.641, 0.633, 0.618, 0.611, 0.690, 0.756, 0.612),
}  # fmt: skip


def _wmt17() -> Iterator[Published]:
    for (tool, spec, digits), printed in _WMT17.items():
        for system, number in zip(_SYSTEMS, printed):
            ours = functools.partial(_wmt17_value, system, spec)
            yield Published(f"{tool}, WMT17 en-de, {system}", spec, number, digits, ours)


def _wmt17_value(system: str, spec: str, data: Locate) -> float:
    found = value(spec, lines(data(f"wmt17_ende/newstest2017.{system}.en-de.txt")), lines(data("wmt17_ende/reference.de.txt")))
    return found / 100 if spec == "ter" else found


# ── tags ────────────────────────────────────────────────────────────────────────────────────────────────────────────

_WNUT17 = {
    "uh_ritual": (57.54, 32.90, 41.86, 40.24), "spinningbytes.txt": (47.09, 35.96, 40.78, 39.33),
    "arcada": (47.40, 34.57, 39.98, 37.77), "drexel_cci": (50.39, 17.79, 26.30, 25.26),
}  # fmt: skip


def _wnut17() -> Iterator[Published]:
    for system, numbers in _WNUT17.items():
        for spec, printed in zip(("ner_precision", "ner_recall", "ner_f1", "surface_f1"), numbers):
            yield Published(f"WNUT-17 shared task, {system}", spec, printed, 2, functools.partial(_wnut17_value, system, spec))


def _wnut17_value(system: str, spec: str, data: Locate) -> float:
    gold = [row for _, row in read_conll(data("wnut17/emerging.test.annotated"))]
    guesses = [row for _, row in read_conll(data(f"wnut17/submissions/{system}"))]
    samples = [Sample(str(i), input={"tokens": row["tokens"]}, target=row["tags"]) for i, row in enumerate(gold)]
    return 100 * value(spec, [Output(Key(str(i)), Tags(tuple(row["tags"]))) for i, row in enumerate(guesses)], samples)


# ── correlations ────────────────────────────────────────────────────────────────────────────────────────────────────

_TOPICAL_CHAT = {
    "naturalness": (0.443666, 0.513986, 0.373973), "coherence": (0.595143, 0.612942, 0.465915),
    "engagingness": (0.556510, 0.604739, 0.455941), "groundedness": (0.536209, 0.574954, 0.451533),
    "understandability": (0.380038, 0.467807, 0.360741), "overall": (0.632796, 0.662583, 0.487272),
}  # fmt: skip
_QAGS = {"xsum": (0.461376, 0.487920, 0.399218), "cnndm": (0.681681, 0.662255, 0.531636)}
_KINDS = ("pearson", "spearman", "kendall")


def _correlations() -> Iterator[Published]:
    chat, files = "topical_chat_judgements/topical_chat_result.json", "qags/qags_{}_result.json"
    found = [(f"UniEval on Topical-Chat, {name}", chat, name, numbers) for name, numbers in _TOPICAL_CHAT.items()]
    found += [(f"UniEval on QAGS, {name}", files.format(name), "consistency", numbers) for name, numbers in _QAGS.items()]
    for source, file, dimension, numbers in found:
        for spec, printed in zip(_KINDS, numbers):
            yield Published(source, spec, printed, 6, functools.partial(_correlation, file, dimension, spec))


def _correlation(file: str, dimension: str, spec: str, data: Locate) -> float:
    rows = json.loads(data(file).read_text(encoding="utf-8"))
    return value(spec, [row["predict_scores"][dimension] for row in rows], [row["scores"][dimension] for row in rows])


# ── people ──────────────────────────────────────────────────────────────────────────────────────────────────────────

_LLMFAO = {"GPT 4": 0.041218, "Platypus-2 Instruct (70B)": 0.029233, "command": 0.028852}


def _llmfao() -> Iterator[Published]:
    for item, printed in _LLMFAO.items():
        spec = f'bradley_terry(of="{item}")'
        yield Published(f"LLMFAO golden scores, {item}", spec, printed, 6, functools.partial(_llmfao_value, spec))
    yield Published("LLMFAO golden scores, GPT 4", 'elo(of="GPT 4")', 1095.594, 3,
                    functools.partial(_llmfao_value, 'elo(of="GPT 4")'))


def _llmfao_value(spec: str, data: Locate) -> float:
    with data("llmfao_pairwise/llmfao.csv").open(encoding="utf-8", newline="") as stream:
        rows = list(csv.DictReader(stream))
    samples = [Sample(str(i), input={"left": row["left"], "right": row["right"]}) for i, row in enumerate(rows)]
    return value(spec, [Output(Key(str(i)), Label(row["winner"])) for i, row in enumerate(rows)], samples)


def lines(path: Path) -> list[str]:
    """The lines of a file of texts, as sacrebleu reads them."""
    with path.open(encoding="utf-8", newline="\n") as stream:
        return [line.rstrip() for line in stream]


def main() -> None:
    """Print the table."""
    root = Path(os.environ.get("HARNESS_SHARED_DATA", Path(__file__).resolve().parents[3] / "shared" / "data"))
    print(f"{'source':70} {'metric':42} {'published':>12} {'ours':>14} {'difference':>11}")
    for row in published():
        ours = row.ours(lambda name: root / name)
        shown = row.metric if len(row.metric) <= 42 else f"{row.metric[:41]}…"
        print(f"{row.source:70} {shown:42} {row.value:12.{row.digits}f} {ours:14.{row.digits + 2}f} {ours - row.value:11.1e}"
              f"{'' if abs(ours - row.value) <= row.tolerance else '   DIFFERS'}")


if __name__ == "__main__":
    main()
