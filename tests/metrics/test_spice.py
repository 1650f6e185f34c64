"""spice: propositions and scores worked out by hand."""

from __future__ import annotations

import math

import pytest

from harness import plugins
from harness.metrics.spice import Spice, propositions, spice
from harness.types import Key, Output, Sample, Text


@pytest.mark.parametrize(("caption", "expected"), [
    ("", ""),
    ("women", "woman"),
    ("Two young girls", "girl | girl-2 | girl-young"),
    ("two young girls are sitting on a bench", "girl | girl-2 | girl-young | bench | girl-sit on-bench"),
    ("A brown dog chases a cat.", "dog | dog-brown | cat | dog-chase-cat"),
    ("a dog is chasing cats", "dog | cat | dog-chase-cat"),
    ("The dog is wet", "dog | dog-wet"),
    ("The dog is wet and happy", "dog | dog-wet | dog-happy"),
    ("the dog is wet and a cat runs", "dog | dog-wet | cat | cat-run"),
    ("a dog is sleeping", "dog | dog-sleep"),
    ("The man is a doctor", "man | doctor | man-be-doctor"),
    ("a cat on a mat in a kitchen", "cat | mat | kitchen | cat-on-mat | mat-in-kitchen"),
    ("a man riding a horse on the beach", "man | horse | beach | man-ride-horse | horse-on-beach"),
    ("a man riding a horse and holding a flag", "man | horse | flag | man-ride-horse | man-hold-flag"),
    ("a person on a bench eating food", "person | bench | food | person-on-bench | person-eat-food"),
    ("a man sitting on a bench eating food", "man | bench | food | man-sit on-bench | man-eat-food"),
    ("a dog chasing a cat sitting on a mat", "dog | cat | mat | dog-chase-cat | cat-sit on-mat"),
    ("a smiling woman stands next to three sheep", "woman | woman-smiling | sheep | sheep-3 | woman-stand next to-sheep"),
    ("a tree in front of a tall building", "tree | building | building-tall | tree-in front of-building"),
    ("the ground is covered with snow", "ground | snow | ground-cover with-snow"),
    ("toy trains and buses", "train | train-toy | bus"),
    ("dishes, boxes, ladies, glasses", "dish | box | lady | glass"),
])
def test_propositions(caption, expected):
    assert propositions(caption) == {tuple(part.split("-")) for part in expected.split(" | ") if part}


@pytest.mark.parametrize(("prediction", "references", "value"), [
    ("a brown dog chases a cat", ["a brown dog chases a cat"], 1.0),
    ("a brown dog", ["a black dog"], 2 * 1 / (2 + 2)),
    ("a red bus", ["a bus", "a red car"], 2 * 1 / (2 + 3)),          # references: bus, car, car-red
    ("nice", ["a bus"], 0.0),
    ("", ["a bus"], 0.0),
])
def test_f1_by_hand(prediction, references, value):
    assert spice([prediction], [references]) == pytest.approx(value)


def test_references_without_objects_are_missing():
    samples = [Sample("1", references=("It is!",)), Sample("2", references=("a cat", "a dog"))]
    scores = Spice().score(samples, [Output(Key(sample.id), Text("a cat")) for sample in samples])
    assert dict(scores.missing) == {0: "no object was found in the references"}
    assert scores.stats[1].tolist() == [2 / 3, 1, 1, 2, 1]
    assert math.isnan(spice(["a"], [""]))
    assert plugins.metric("spice") == Spice()
    assert [float(Spice().finish(row)) for row in Spice().extremes(samples[1])] == [0.0, 1.0]
