"""Scene-graph F1 of captions: objects, their attributes, and relations between them, found by a few rules for English.

An approximation of SPICE: the Java tool parses with Stanford's probabilistic parser and matches WordNet synonyms as well; here
closed word lists tell determiners, prepositions and auxiliaries, and the order of the words tells the rest.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import ClassVar, TypeAlias

from harness.metrics import captionwords
from harness.metrics.references import References
from harness.metrics.rows import Row
from harness.metrics.textrows import TextRows

Proposition: TypeAlias = tuple[str, ...]
"""An object ``("dog",)``, an attribute ``("dog", "brown")`` or a relation ``("dog", "chase", "cat")``."""


@dataclass(frozen=True, repr=False)
class Spice(TextRows):
    """F1 of the propositions of a caption and those of all its references together, the mean. Range 0–1, higher is better.

    Propositions are objects (nouns), object–attribute (adjectives and numbers before a noun; what "is" says of it) and
    subject–relation–object (a verb or preposition between two nouns), as sets of lemmas. P = shared / those of the caption, R =
    shared / those of the references, F1 = 2 · P · R / (P + R).

    An approximation: the text is parsed by rules (English, short captions), not by the Java tool's parser, and synonyms do not
    match. Values are not those of the Java tool; use them to compare systems with each other.

    Statistics: ``f1``, ``shared``, ``predicted``, ``expected`` and 1, a row a sample. References in which no object is found
    make a missing row; a caption without one is 0. No rows: NaN.

    Anderson et al. 2016, "SPICE: Semantic Propositional Image Caption Evaluation".

    >>> round(Spice().over(["A brown dog chases a cat"], ["The dog is chasing two cats"]).value, 4)  # dog, cat, dog-chase-cat
    0.75
    """

    name: ClassVar[str] = "spice"
    summary: ClassVar[str] = "scene-graph F1 by a light rule parser (an approximation of the Java tool)"
    columns: ClassVar[tuple[str, ...]] = ("f1", "shared", "predicted", "expected", "n")
    formula: ClassVar[str] = "mean of 2 · P · R / (P + R) over objects, object–attribute, subject–relation–object"
    reference: ClassVar[str] = "hand-worked; approximates SPICE 1.0 (Java)"
    paper: ClassVar[str] = "Anderson et al. 2016, SPICE: Semantic Propositional Image Caption Evaluation"

    def compare(self, texts: Sequence[str], others: Sequence[Sequence[str]]) -> Iterable[Row]:
        for text, references in zip(texts, others):
            expected = frozenset[Proposition]().union(*map(propositions, references))
            predicted = propositions(text)
            shared = len(predicted & expected)
            if expected:
                yield 2 * shared / (len(predicted) + len(expected)), float(shared), len(predicted), len(expected), 1.0
            else:
                yield "no object was found in the references"


def spice(predictions: Sequence[str], references: References) -> float:
    """Mean F1 of propositions; see :class:`Spice`. NaN where no reference has an object.

    >>> spice(["a red bus"], ["a bus"])
    0.6666666666666666
    """
    return Spice().over(predictions, references).value


# ── the parser ──────────────────────────────────────────────────────────────────────────────────────────────────────

_TOKEN = re.compile(r"'s\b|'re\b|[^\W\d_]+(?:-[^\W\d_]+)*|\d+|[,;.!?]")


@lru_cache(maxsize=1 << 14)
def propositions(text: str) -> frozenset[Proposition]:
    """The propositions of a caption.

    >>> sorted(propositions("Two young girls are sitting on a bench"))
    [('bench',), ('girl',), ('girl', '2'), ('girl', 'sit on', 'bench'), ('girl', 'young')]
    """
    scene = _Scene()
    for kind, word in _kinds(_TOKEN.findall(text.lower())):
        scene.read(kind, word)
    scene.read("end", "")
    return frozenset(scene.found)


class _Scene:
    """What has been read so far of a caption.

    ``head`` is the noun that the sentence began with, ``subject`` the one that verbs belong to, ``near`` the last one, to which
    prepositions belong; ``verb`` and ``preposition`` wait for their object, ``before`` for a noun.
    """

    def __init__(self) -> None:
        self.found: set[Proposition] = set()
        self._noun: list[str] = []
        self._before: list[str] = []
        self._head = self._subject = self._near = self._verb = self._preposition = ""
        self._is = self._joined = False

    def read(self, kind: str, word: str) -> None:
        if kind == "noun":
            self._noun.append(word)
            return
        self._end_noun()
        if kind == "adjective":
            self._before.append(word)
        elif kind == "be":
            self._is = True
        elif kind == "preposition":
            self._end_predicate()
            self._preposition = word
        elif kind == "determiner":
            self._is = self._is and not self._joined
        elif kind in ("verb", "break", "end"):
            is_so_far = self._is
            self._end_predicate()
            self._end_verb()
            self._verb = word if kind == "verb" else ""
            if kind == "break":
                self._subject = self._near = self._head if word == "and" else ""
                self._is = is_so_far and word == "and"  # "is wet and happy"
        self._joined = kind == "break"

    def _end_noun(self) -> None:
        if not self._noun:
            return
        *modifiers, noun = self._noun
        self.found.add((noun,))
        self.found.update((noun, word) for word in (*self._before, *modifiers))
        if self._verb and self._subject:
            self.found.add((self._subject, f"{self._verb} {self._preposition}".strip(), noun))
            self._subject = self._subject if self._preposition else noun
        elif self._preposition and self._near:
            self.found.add((self._near, self._preposition, noun))
        elif self._is and self._subject:
            self.found.add((self._subject, "be", noun))
        else:
            self._subject = noun
            self._head = noun
        self._near, self._noun, self._before, self._verb, self._preposition, self._is = noun, [], [], "", "", False

    def _end_predicate(self) -> None:
        """Adjectives that no noun follows are said of the subject: "the dog is wet"."""
        if self._is and self._subject:
            self.found.update((self._subject, word) for word in self._before)
        self._before, self._is = [], False

    def _end_verb(self) -> None:
        """A verb without an object is said of its subject: "the dog is sleeping"."""
        if self._verb and self._subject:
            self.found.add((self._subject, self._verb))
        self._verb = self._preposition = ""


# ── words ───────────────────────────────────────────────────────────────────────────────────────────────────────────


def _kinds(tokens: Sequence[str]) -> Iterator[tuple[str, str]]:
    """Kind and lemma of each token; what a word is depends on the kind of the one before."""
    before, at = "break", 0
    while at < len(tokens):
        compound = next((words for words in captionwords.COMPOUND if tuple(tokens[at:at + len(words)]) == words), None)
        if compound:
            kind, lemma, at = "preposition", captionwords.COMPOUND[compound], at + len(compound)
        else:
            kind, lemma = _kind(tokens[at], before)
            at += 1
        if kind != "skipped":
            before = kind
            yield kind, lemma


def _kind(word: str, before: str) -> tuple[str, str]:
    if word in captionwords.NUMBERS or word.isdecimal():
        return "adjective", captionwords.NUMBERS.get(word, word)
    for kind, known in captionwords.KINDS.items():
        if word in known:
            return kind, word
    verb = _verb(word)
    if verb and before in ("noun", "be", "break", "preposition") and (before != "preposition" or verb == word):
        return "verb", verb
    if (verb and before in ("determiner", "adjective") and word != verb) or word.endswith(("ful", "ous", "ish", "less")):
        return "adjective", word
    return "noun", _singular(word)


def _verb(word: str) -> str:
    """The base form, if the word can be a verb: one of the list, or any in -ing or -ed that is no known noun."""
    if captionwords.IRREGULAR.get(word, word) in captionwords.VERBS:
        return captionwords.IRREGULAR.get(word, word)
    for ending in ("ing", "ed", "es", "s"):
        stem = word.removesuffix(ending)
        if stem != word and len(stem) > 1 and word not in captionwords.NOUNS_IN_ING:
            forms = (stem, stem + "e", stem[:-1] if stem[-1] == stem[-2] else stem, stem[:-1] + "y")
            known = next((form for form in forms if form in captionwords.VERBS), None)
            if known or (ending in ("ing", "ed") and len(stem) > 2):
                return known or forms[2]
    return ""


def _singular(word: str) -> str:
    unchanged = word in captionwords.UNCHANGED or not word.endswith("s") or word.endswith(("ss", "us", "is"))
    if unchanged or word in captionwords.IRREGULAR:
        return captionwords.IRREGULAR.get(word, word)
    if word.endswith("ies") and len(word) > 4:
        return word[:-3] + "y"
    return word[:-2] if word.endswith(("ches", "shes", "xes", "sses", "zes", "toes")) else word[:-1]
