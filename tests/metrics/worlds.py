"""Small sets of samples and outputs on which every kind of metric has something to measure."""

from __future__ import annotations

import dataclasses
import random
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from harness.protocols import Metric, PairMetric
from harness.types import (
    Answer,
    Key,
    Label,
    Labels,
    Likelihoods,
    Number,
    Outcomes,
    Output,
    Ranking,
    Ratings,
    Sample,
    Tags,
    Text,
    Timing,
    Usage,
    Vectors,
)

WORDS = ["the", "a", "cat", "dog", "red", "old", "sat", "ran", "on", "under", "mat", "house", "in", "Paris", "12", "3.5",
         "and", "then", "was", "Anna"]  # fmt: skip
CONLL = ("O", "B-per", "I-per", "B-loc")


@dataclass(frozen=True)
class World:
    """A name, and rows of one sample with its output (and another system's answer to the same sample)."""

    name: str
    samples: list[Sample]
    outputs: list[Output]
    others: list[Output]

    def relabelled(self, names: Mapping[str, str]) -> World:
        """The same rows with other names for the labels."""
        samples = [dataclasses.replace(s, target=_renamed(s.target, names), choices=tuple(_renamed(list(s.choices), names)))
                   for s in self.samples]
        return dataclasses.replace(self, samples=samples, outputs=[_with_names(o, names) for o in self.outputs],
                                   others=[_with_names(o, names) for o in self.others])

    def rows(self, which: Sequence[int]) -> World:
        """Some of the rows, in that order."""
        return dataclasses.replace(self, samples=[self.samples[i] for i in which], outputs=[self.outputs[i] for i in which],
                                   others=[self.others[i] for i in which])


def _renamed(value: Any, names: Mapping[str, str]) -> Any:
    if isinstance(value, list):
        return [names.get(item, item) for item in value]
    return names.get(value, value) if isinstance(value, str) else value


def _with_names(output: Output, names: Mapping[str, str]) -> Output:
    answer = output.answer
    if not isinstance(answer, Label | Labels):
        return output
    changed: dict[str, Any] = {}
    if answer.probabilities is not None:
        changed["probabilities"] = {names.get(label, label): p for label, p in answer.probabilities.items()}
    if isinstance(answer, Label):
        changed["label"] = _renamed(answer.label, names)
    else:
        changed["labels"] = tuple(_renamed(list(answer.labels), names))
    return dataclasses.replace(output, answer=dataclasses.replace(answer, **changed))


class Encoder:
    """Vectors that depend on the words of a text and on nothing else."""

    def encode(self, texts: Sequence[str], *, purpose: str = "symmetric") -> np.ndarray:
        return np.array([self._vector(text) for text in texts], dtype=np.float32).reshape(len(texts), 8)

    @staticmethod
    def _vector(text: str) -> np.ndarray:
        vector = sum((np.random.default_rng(sum(word.encode())).normal(size=8) for word in text.split()), np.full(8, 0.1))
        return vector / np.linalg.norm(vector)


ROLES: dict[str, Any] = {"encoder": Encoder()}


def bound(metric: Metric, world: World) -> Metric:
    """The metric as an engine would have it before the first row: roles opened, samples seen, the other system known."""
    if isinstance(metric, PairMetric):
        metric = dataclasses.replace(metric, others={output.key: output for output in world.others})
    return metric.open(ROLES).prepare(world.samples)


def worlds(n: int = 24, seed: int = 0) -> Iterator[World]:
    """Every kind of rows; their order is that in which a metric looks for one that it has a value on."""
    for name, row in _MAKERS.items():
        rng = random.Random(f"{name} {seed}")
        samples, outputs, others = [], [], []
        for i in range(n):
            fields, answer, other = row(rng, i)
            samples.append(Sample(f"s{i}", slices={"part": "ood" if i % 2 else "id"}, group=f"g{i // 4}", **fields))
            common = {"usage": Usage(10 + i, 5 + i % 7), "timing": Timing(0.5 + 0.01 * i, 0.1 + 0.001 * i)}
            why = "stop" if i % 5 else "length"
            outputs.append(Output(Key(f"s{i}"), answer, finish_reason=why, truncated=i % 9 == 8, **common))
            others.append(Output(Key(f"s{i}"), other, **common))
        yield World(name, samples, outputs, others)


def _text(rng: random.Random, low: int = 4, high: int = 14) -> str:
    return " ".join(rng.choice(WORDS) for _ in range(rng.randint(low, high)))


def _texts(rng: random.Random, i: int) -> tuple[dict[str, Any], Answer, Answer]:
    reference = _text(rng)
    answer = " ".join(word if rng.random() < 0.7 else rng.choice(WORDS) for word in reference.split())
    quoted = f'{answer} "{" ".join(reference.split()[:2])}" said Anna Smith in 12'
    fields = {"references": (reference, _text(rng)), "contexts": (f"{reference} Anna Smith went to Paris with 12 dogs.",),
              "input": {"text": reference, "source": f"{reference} {_text(rng)}", "document": reference}}
    tokens = tuple(-rng.random() for _ in answer.split())
    entropies = tuple(rng.random() for _ in tokens)
    return fields, Text(answer if i % 4 else quoted, tokens, token_entropies=entropies), Text(_text(rng))


def _labels(rng: random.Random, i: int) -> tuple[dict[str, Any], Answer, Answer]:
    target = rng.choice(["a", "b"])
    p = min(0.99, max(0.01, rng.gauss(0.65 if target == "b" else 0.35, 0.2)))
    logprobs = (float(np.log(1 - p)), float(np.log(p)))
    answer = Label("b" if p > 0.5 else "a", {"a": 1 - p, "b": p}, logprobs)
    fields = {"target": target, "choices": ("a", "b"),
              "input": {"model_x": f"m{i % 3}", "model_y": f"m{(i + 1) % 3}", "left": f"m{i % 3}", "right": f"m{(i + 1) % 3}"}}
    return fields, answer, Label(rng.choice(["a", "b"]))


def _preferences(rng: random.Random, i: int) -> tuple[dict[str, Any], Answer, Answer]:
    left, right = rng.sample(["m0", "m1", "m2"], 2)
    inside = {"left": left, "right": right, "model_x": left, "model_y": right, "a": left, "b": right}
    choose = lambda: Label(rng.choice(["left", "left", "right", "tie"]))  # noqa: E731
    return {"input": inside, "target": "left"}, choose(), choose()


def _sets(rng: random.Random, i: int) -> tuple[dict[str, Any], Answer, Answer]:
    target = [label for label in "abc" if rng.random() < 0.5] or ["a"]
    chances = {label: min(1.0, max(0.0, rng.gauss(0.7 if label in target else 0.3, 0.2))) for label in "abc"}
    chosen = tuple(label for label, p in chances.items() if p > 0.5)
    return {"target": target}, Labels(chosen, chances), Labels(("a",), chances)


def _numbers(rng: random.Random, i: int) -> tuple[dict[str, Any], Answer, Answer]:
    target = rng.uniform(1, 9)
    value = max(0.1, target + rng.gauss(0, 0.8))
    return {"target": target}, Number(value, value - 1, value + 1), Number(target)


def _signs(rng: random.Random, i: int) -> tuple[dict[str, Any], Answer, Answer]:
    target = rng.choice([-1.0, 1.0])
    return {"target": target}, Number(target * rng.gauss(0.8, 1.0)), Number(rng.gauss(0, 1))


def _rankings(rng: random.Random, i: int) -> tuple[dict[str, Any], Answer, Answer]:
    documents = [f"d{j}" for j in range(12)]
    qrels = {d: rng.choice([0, 0, 1, 2]) for d in documents[:9]} | {"d0": 1}
    scored = lambda: sorted(((d, rng.random() + 0.3 * qrels.get(d, 0)) for d in documents), key=lambda p: -p[1])  # noqa: E731
    one, other = scored(), scored()
    return {"qrels": qrels, "target": [d for d, _ in other[:10]]}, *(
        Ranking(tuple(d for d, _ in pairs), tuple(s for _, s in pairs)) for pairs in (one, other))


def _tags(rng: random.Random, i: int) -> tuple[dict[str, Any], Answer, Answer]:
    gold = tuple(rng.choice(CONLL) for _ in range(rng.randint(3, 9)))
    guess = lambda: Tags(tuple(tag if rng.random() < 0.7 else rng.choice(CONLL) for tag in gold))  # noqa: E731
    return {"target": list(gold), "input": {"tokens": [rng.choice(WORDS) for _ in gold]}}, guess(), guess()


def _ratings(rng: random.Random, i: int) -> tuple[dict[str, Any], Answer, Answer]:
    level = rng.randint(1, 5)
    rate = lambda: Ratings(tuple(float(min(5, max(1, level + rng.choice([-1, 0, 0, 1])))) for _ in range(3)))  # noqa: E731
    return {}, rate(), rate()


def _likelihoods(rng: random.Random, i: int) -> tuple[dict[str, Any], Answer, Answer]:
    tokens = tuple(-rng.expovariate(0.5) for _ in range(rng.randint(4, 12)))
    entropies = tuple(rng.random() * 3 for _ in tokens)
    answer = Likelihoods((sum(tokens),), (len(tokens),), (False,), len(tokens) - 1, 5 * len(tokens), tokens, entropies)
    return {"input": {"text": _text(rng)}}, answer, answer


def _vectors(count: int, target: Callable[[random.Random, int], Any]) -> Callable[[random.Random, int], Any]:
    def row(rng: random.Random, i: int) -> tuple[dict[str, Any], Answer, Answer]:
        centre = [3.0 * (i % 3), 1.0, -2.0 * (i % 2), 0.5]
        draw = lambda: tuple(tuple(c + rng.gauss(0, 1) for c in centre) for _ in range(count))  # noqa: E731
        return {"target": target(rng, i)}, Vectors(draw()), Vectors(draw())

    return row


def _masks(rng: random.Random, i: int) -> tuple[dict[str, Any], Answer, Answer]:
    gold = [float(rng.random() < 0.5) for _ in range(12)]
    mask = lambda: Vectors((tuple(g if rng.random() < 0.8 else 1 - g for g in gold),))  # noqa: E731
    return {"target": gold}, mask(), mask()


def _distributions(rng: random.Random, i: int) -> tuple[dict[str, Any], Answer, Answer]:
    def share() -> dict[str, float]:
        parts = [rng.random() + 0.1 for _ in "abc"]
        return {name: part / sum(parts) for name, part in zip("abc", parts)}

    return {"target": share()}, Label("a", share()), Label("a", share())


def _assignments(rng: random.Random, i: int) -> tuple[dict[str, Any], Answer, Answer]:
    variant = "new" if (i // 4) % 2 else "control"
    answers = [Outcomes(variant, {"revenue": rng.gauss(3.0 + (variant == "new"), 1.0)}, {"before": rng.random()}) for _ in "ab"]
    return {}, answers[0], answers[1]


_MAKERS: dict[str, Callable[[random.Random, int], Any]] = {
    "texts": _texts,
    "labels": _labels,
    "rankings": _rankings,
    "numbers": _numbers,
    "signs": _signs,
    "likelihoods": _likelihoods,
    "tags": _tags,
    "ratings": _ratings,
    "preferences": _preferences,
    "sets of labels": _sets,
    "distributions": _distributions,
    "clusters": _vectors(1, lambda rng, i: f"c{i % 3}"),
    "pairs of vectors": _vectors(2, lambda rng, i: float(i % 2)),
    "triplets": _vectors(3, lambda rng, i: 1.0),
    "masks": _masks,
    "assignments": _assignments,
}
