"""Plain signs of groundedness: how much of an answer's words, names, numbers and quotations stand in its contexts."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import ClassVar

from harness.metrics.extractive import WordRows, shared_ngrams
from harness.metrics.numeric import numbers
from harness.metrics.references import References
from harness.metrics.rows import Row
from harness.metrics.sources import contexts_of
from harness.metrics.textrows import TextRows
from harness.metrics.wording import Scheme
from harness.types import Output, Sample


@dataclass(frozen=True, repr=False)
class Support(WordRows):
    """Share of the answer's n-grams that stand in its contexts, the mean: n-gram precision. Range 0–1, higher is better.

    Contexts are those that came with the answer, else the sample's; each occurrence of an n-gram counts, and it is enough that
    one context has it once. It sees wording alone: a negation costs one word, a paraphrase all of it.

    Parameters
    ----------
    n : length of the n-grams, in words.
    tokenize : as for all metrics that cut words: by the task's language, ``ascii`` for English.

    Statistics: ``share``, ``found``, ``ngrams`` and 1, a row a sample. Answers of fewer than n words, or without contexts, are
    missing. No rows: NaN.

    >>> Support().over(["the tower is blue"], [["The tower is tall.", "It is old."]]).value
    0.75
    """

    n: int = 1

    name: ClassVar[str] = "support"
    family: ClassVar[str] = "groundedness"
    summary: ClassVar[str] = "share of the answer's n-grams that are in its contexts"
    needs: ClassVar[frozenset[str]] = frozenset({"text", "contexts"})
    columns: ClassVar[tuple[str, ...]] = ("share", "found", "ngrams", "n")
    formula: ClassVar[str] = "mean of n-grams of the answer that are in a context / n-grams of the answer"
    reference: ClassVar[str] = "hand-worked"

    def __post_init__(self) -> None:
        super().__post_init__()
        self.require(isinstance(self.n, int) and self.n >= 1, "n", "a positive integer")

    def beside(self, sample: Sample, output: Output) -> Sequence[str] | str:
        return contexts_of(sample, output)

    def of_words(self, text: Sequence[int], others: Sequence[Sequence[int]]) -> Row:
        found, total = shared_ngrams(text, others, self.n)
        return (found / total, float(found), float(total), 1.0) if total else f"the answer has fewer than {self.n} words"


@dataclass(frozen=True, repr=False)
class _Consistency(TextRows):
    """Base: things of one kind that an answer mentions, and those of them that stand in its contexts."""

    family: ClassVar[str] = "groundedness"
    needs: ClassVar[frozenset[str]] = frozenset({"text", "contexts"})
    columns: ClassVar[tuple[str, ...]] = ("share", "found", "mentioned", "n")
    reference: ClassVar[str] = "hand-worked"

    def beside(self, sample: Sample, output: Output) -> Sequence[str] | str:
        return contexts_of(sample, output)

    def compare(self, texts: Sequence[str], others: Sequence[Sequence[str]]) -> Iterable[Row]:
        for text, contexts in zip(texts, others):
            found = self.mentions(text, contexts)
            yield (sum(found) / len(found), float(sum(found)), float(len(found)), 1.0) if found else self.none

    @property
    def none(self) -> str:
        """Why an answer that mentions nothing of the kind has no row."""
        raise NotImplementedError(f"{type(self).__name__}.none")

    def mentions(self, text: str, contexts: Sequence[str]) -> list[bool]:
        """For each mention, whether a context has it."""
        raise NotImplementedError(f"{type(self).__name__}.mentions")


@dataclass(frozen=True, repr=False)
class EntityConsistency(_Consistency):
    """Share of the names in the answer that stand in its contexts, the mean. Range 0–1, higher is better.

    A name is a run of capitalised words inside a sentence (``of``, ``de``, ``van``, … and ``&`` may stand between two of them).
    At the start of a sentence a word counts if it has another capital in it ("NASA"), or begins a run of two and is no function
    word ("Marie Curie", but "The Louvre" is Louvre). A name stands in a context if the same words follow each other there,
    whatever their case. Rules for languages that capitalise names alone: in German all nouns count, scripts without case have
    none.

    Statistics: ``share``, ``found``, ``mentioned`` and 1, a row a sample. Answers without names, or without contexts, are
    missing. No rows: NaN.

    >>> EntityConsistency().over(["It was built by Gustave Eiffel in Paris."], ["Eiffel lived in Paris."]).value
    0.5
    """

    name: ClassVar[str] = "entity_consistency"
    summary: ClassVar[str] = "share of the answer's names (capitalised runs) that are in its contexts"
    formula: ClassVar[str] = "mean of names of the answer that are in a context / names of the answer"

    @property
    def none(self) -> str:
        return "the answer has no names"

    def mentions(self, text: str, contexts: Sequence[str]) -> list[bool]:
        there = [_spaced(_WORD.findall(context)) for context in contexts]
        return [any(_spaced(name) in context for context in there) for name in names(text)]


@dataclass(frozen=True, repr=False)
class NumberConsistency(_Consistency):
    """Share of the numbers in the answer that stand in its contexts, the mean. Range 0–1, higher is better.

    Numbers are read as by ``numeric_match`` and compared by value: 1,000 stands in "1000 men", 0.5 in "½". Those in words
    ("three") are not seen.

    Statistics: ``share``, ``found``, ``mentioned`` and 1, a row a sample. Answers without numbers, or without contexts, are
    missing. No rows: NaN.

    >>> NumberConsistency().over(["324 m, built in 1887"], ["It is 324 metres tall and of 1889."]).value
    0.5
    """

    name: ClassVar[str] = "number_consistency"
    summary: ClassVar[str] = "share of the answer's numbers that are in its contexts, by value"
    formula: ClassVar[str] = "mean of numbers of the answer that are in a context / numbers of the answer"

    @property
    def none(self) -> str:
        return "the answer has no numbers"

    def mentions(self, text: str, contexts: Sequence[str]) -> list[bool]:
        there = {value for context in contexts for value in numbers(context)}
        return [value in there for value in numbers(text)]


@dataclass(frozen=True, repr=False)
class QuoteConsistency(_Consistency):
    """Share of the quotations in the answer that stand in its contexts, the mean. Range 0–1, higher is better.

    Quotations are between ``"…"``, ``“…”``, ``„…“``, ``«…»``, ``»…«``, ``「…」`` or ``『…』`` (not between single marks,
    which are apostrophes too) and hold a letter or a digit. Case, white space and punctuation at both ends do not matter.

    Statistics: ``share``, ``found``, ``mentioned`` and 1, a row a sample. Answers without quotations, or without contexts, are
    missing. No rows: NaN.

    >>> QuoteConsistency().over(['He said "I came" and "I won."'], ["I came, I saw, I conquered"]).value
    0.5
    """

    name: ClassVar[str] = "quote_consistency"
    summary: ClassVar[str] = "share of the answer's quotations that are in its contexts"
    formula: ClassVar[str] = "mean of quotations of the answer that are in a context / quotations of the answer"

    @property
    def none(self) -> str:
        return "the answer has no quotations"

    def mentions(self, text: str, contexts: Sequence[str]) -> list[bool]:
        there = [_flat(context) for context in contexts]
        return [any(quote in context for context in there) for quote in quotations(text)]


# ── what is mentioned ───────────────────────────────────────────────────────────────────────────────────────────────


def _words(text: str) -> frozenset[str]:
    return frozenset(text.split())


_WORD = re.compile(r"[^\W_]+(?:['’.&-][^\W_]+)*")
_GENITIVE = re.compile(r"['’]s$")
_SENTENCE_END = re.compile(r"(?:[.!?:…]['\"”’)\]]*\s+|\n[\s>#*•–-]*|[\"“„«(\[*•]\s*)$")
_LINKS = _words("of de da di del della du des la le van von der the")
_FUNCTION_WORDS = _words(
    "then also however thus now today yet still a an the this that these those it its he his she her they their we our you "
    "your my i in on at by for from to of with and or but so as if when while after before since because although there "
    "here what who where why how which no not yes all some many most both each every one is was are were be do does did has "
    "have had will would can could may might"
)
_ABBREVIATIONS = _words("mr mrs ms dr prof st jr sr vs no gen col capt lt rev hon inc ltd co corp")
_QUOTED = re.compile("\"([^\"]+)\"|“([^“”]+)”|„([^„“”]+)[“”]|«([^«»]+)»|»([^«»]+)«|「([^「」]+)」|『([^『』]+)』")


def names(text: str) -> Iterator[list[str]]:
    """The names in a text, each as its words, lower-cased; see :class:`EntityConsistency`.

    >>> list(names("The Bank of England is in London. NASA's men, e.g. Armstrong, were not."))
    [['bank', 'of', 'england'], ['london'], ['nasa'], ['armstrong']]
    """
    run: list[tuple[str, bool]] = []
    end, before = 0, ""
    for match in _WORD.finditer(text):
        word, gap = _GENITIVE.sub("", match.group()), text[end:match.start()]
        if gap.startswith(".") and (len(before) == 1 or "." in before or before.lower() in _ABBREVIATIONS):
            gap = gap[1:]
        at_start = end == 0 or _SENTENCE_END.search(gap) is not None
        if run and (gap.strip(" \t") not in ("", "&") or at_start):
            yield from _name(run)
            run = []
        if word[0].isupper() or (run and word.lower() in _LINKS):
            run.append((word, at_start))
        elif run:
            yield from _name(run)
            run = []
        if word != match.group() and run:
            yield from _name(run)
            run = []
        end, before = match.end(), word
    if run:
        yield from _name(run)


def _name(run: Sequence[tuple[str, bool]]) -> Iterator[list[str]]:
    """The name that a run of words is, without links at its end and without what only starts the sentence."""
    words = list(run)
    while words and not words[-1][0][0].isupper():
        words.pop()
    while words and words[0][0].lower().replace("’", "'").partition("'")[0] in _FUNCTION_WORDS:
        words.pop(0)
    while words and not words[0][0][0].isupper():
        words.pop(0)
    if len(words) == 1 and words[0][1] and not any(letter.isupper() for letter in words[0][0][1:]):
        return
    if words:
        yield [word.lower() for word, _ in words]


def _spaced(words: Sequence[str]) -> str:
    return f" {' '.join(_GENITIVE.sub('', word).lower() for word in words)} "


def quotations(text: str) -> Iterator[str]:
    """The quotations in a text, flattened as contexts are; see :class:`QuoteConsistency`."""
    for match in _QUOTED.finditer(text):
        quote = re.sub(r"^[\W_]+|[\W_]+$", "", _flat(match[match.lastindex or 0]))
        if quote:
            yield quote


def _flat(text: str) -> str:
    return " ".join(text.casefold().split())


# ── plain functions ─────────────────────────────────────────────────────────────────────────────────────────────────


def support(texts: Sequence[str], contexts: References, *, n: int = 1, tokenize: Scheme = "ascii") -> float:
    """Share of n-grams that are in the contexts; see :class:`Support`. NaN where no text has n words.

    >>> support(["a b x"], [["z a b"]], n=2)
    0.5
    """
    return Support(n, tokenize=tokenize).over(texts, contexts).value


def entity_consistency(texts: Sequence[str], contexts: References) -> float:
    """Share of names that are in the contexts; see :class:`EntityConsistency`. NaN where no text has a name.

    >>> entity_consistency(["I met Ada Lovelace."], [["Ada Lovelace was there."]])
    1.0
    """
    return EntityConsistency().over(texts, contexts).value


def number_consistency(texts: Sequence[str], contexts: References) -> float:
    """Share of numbers that are in the contexts; see :class:`NumberConsistency`. NaN where no text has a number.

    >>> number_consistency(["1,000 men"], [["1000 men"]])
    1.0
    """
    return NumberConsistency().over(texts, contexts).value


def quote_consistency(texts: Sequence[str], contexts: References) -> float:
    """Share of quotations that are in the contexts; see :class:`QuoteConsistency`. NaN where no text has one.

    >>> quote_consistency(["“I saw”"], [["I came, I saw"]])
    1.0
    """
    return QuoteConsistency().over(texts, contexts).value
