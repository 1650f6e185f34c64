"""Translation edit rate, equal to sacrebleu."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import ClassVar

import numpy as np

from harness.metrics.mteval import bleu_tokens
from harness.metrics.references import ReferenceMetric, References, pair_up
from harness.metrics.tercom import edits
from harness.metrics.tokenize import PUNCTUATION, Tokens
from harness.types import FloatArray

_BLOCK = 4096
_UNSPACED = ("zh", "ja", "th", "lo", "km", "my", "bo")


@dataclass(frozen=True, repr=False)
class Ter(ReferenceMetric):
    """Edits that turn the predictions into their references, per word of the references. Range 0–∞, lower is better.

    TER = 100 · edits / words of the references, summed over the corpus. An edit inserts, deletes or replaces one word, or
    shifts a block of up to 10 words by up to 50 places; shifts are looked for greedily, as tercom does.

    Parameters
    ----------
    normalized : tercom's normalisation: joined lines, four SGML entities, punctuation split off (not inside of numbers).
    no_punct : without ``. , ? : ; ! " ( )``.
    asian : with ``normalized`` Chinese characters, kanji and East Asian punctuation stand alone; with ``no_punct`` that
        punctuation goes as well. Without either it does nothing, as in sacrebleu.
    case : tell upper from lower case.

    Statistics: ``edits``, ``ref_length`` and 1, a row a sample. Of several references the one with the fewest edits counts,
    and ``ref_length`` is their mean length. References without words: 0 for a prediction without words, else 100, as in
    sacrebleu. No rows: NaN. A missing sample has no worst row: an answer may be of any length.

    Time grows with the square of the length up to 64 words of the reference; beyond (and beyond 256 words of the prediction)
    with length · 50, times at most 1,000 shifts that are tried, as in sacrebleu, some twenty times as fast.

    Snover et al. 2006, "A Study of Translation Edit Rate with Targeted Human Annotation". Equals sacrebleu's ``TER``.

    >>> round(Ter().over(["on the mat the cat sat"], ["the cat sat on a mat"]).value, 4)  # one shift, one replacement
    33.3333
    """

    normalized: bool = False
    no_punct: bool = False
    asian: bool = False
    case: bool = False
    language: str = field(default="", repr=False, compare=False)

    name: ClassVar[str] = "ter"
    summary: ClassVar[str] = "translation edit rate (insert, delete, replace, shift) as sacrebleu computes it"
    higher_is_better: ClassVar[bool | None] = False
    bounds: ClassVar[tuple[float | None, float | None]] = (0.0, None)
    unit: ClassVar[str] = "points"
    columns: ClassVar[tuple[str, ...]] = ("edits", "ref_length", "n")
    formula: ClassVar[str] = "100 · Σ edits / Σ words of the references; edits: insert, delete, replace a word, shift a block"
    reference: ClassVar[str] = "sacrebleu TER"
    paper: ClassVar[str] = "Snover et al. 2006, A Study of Translation Edit Rate with Targeted Human Annotation"

    def for_language(self, language: str) -> Ter:
        return replace(self, language=language)

    def warnings(self) -> tuple[str, ...]:
        if self.language.lower().split("-")[0] not in _UNSPACED or (self.normalized and self.asian):
            return ()
        return (f"{self.spec}: words are what white space separates, and {self.language} has little; "
                "ter(normalized=true,asian=true) takes Chinese characters one by one",)

    def statistics(self, predictions: Sequence[str], references: Sequence[Sequence[str]]) -> FloatArray:
        repeated, targets, starts = pair_up(predictions, references)
        hypotheses, words = self._tokens(repeated, targets)
        fewest = np.minimum.reduceat(edits(hypotheses, words), starts) if len(starts) else np.empty(0)
        lengths = np.add.reduceat(words.lengths, starts) if len(starts) else np.empty(0)
        return np.column_stack([fewest, lengths / [len(item) for item in references], np.ones(len(starts))])

    def finish(self, totals: FloatArray) -> FloatArray:
        edited, length, rows = totals[..., 0], totals[..., 1], totals[..., 2]
        rate = np.divide(edited, length, out=np.array(edited > 0, dtype=np.float64), where=length > 0)
        return np.where(rows > 0, 100.0 * rate, np.nan)

    def _in_blocks(self, predictions: Sequence[str], references: Sequence[Sequence[str]]) -> FloatArray:
        """Larger blocks than others: the search goes in rounds, each over all pairs of a block."""
        starts = range(0, len(predictions), _BLOCK)
        blocks = [self.statistics(predictions[start:start + _BLOCK], references[start:start + _BLOCK]) for start in starts]
        return np.concatenate([np.empty((0, len(self.columns))), *blocks])

    def _tokens(self, predictions: Sequence[str], references: Sequence[str]) -> tuple[Tokens, Tokens]:
        texts = [*predictions, *references]
        if not self.case:
            texts = [text.lower() for text in texts]
        if self.normalized or self.no_punct:  # sacrebleu's references go through it twice
            texts = [self._normal_form(text) for text in texts]
            texts[len(predictions):] = [self._normal_form(text) for text in texts[len(predictions):]]
        tokens = bleu_tokens(texts, "none")
        n = len(predictions)
        cut = int(tokens.lengths[:n].sum())
        return Tokens(tokens.ids[:cut], tokens.lengths[:n]), Tokens(tokens.ids[cut:], tokens.lengths[n:])

    def _normal_form(self, text: str) -> str:
        text = text.rstrip()
        if self.normalized and text:
            text = _normalized(text)
            if self.asian:
                text = _asian_apart(text)
        if self.no_punct:
            text = _PUNCTUATION.sub("", text)
            if self.asian:
                text = _ASIAN_PUNCTUATION.sub("", text)
        return " ".join(text.split())


def ter(predictions: Sequence[str], references: References, *, normalized: bool = False, no_punct: bool = False,
        asian: bool = False, case: bool = False) -> float:
    """Translation edit rate of a corpus in percent; see :class:`Ter`. NaN for empty lists.

    >>> ter(["a cat sat"], [["the cat sat", "a cat sits there"]])
    28.57142857142857
    """
    return Ter(normalized, no_punct, asian, case).over(predictions, references).value


# ── tercom's normalisation, as sacrebleu has it ─────────────────────────────────────────────────────────────────────

_ENTITIES = (("\n-", ""), ("\n", " "), ("&quot;", '"'), ("&amp;", "&"), ("&lt;", "<"), ("&gt;", ">"))
_ALONE = re.compile("([" + re.escape("".join(mark for mark in PUNCTUATION if mark not in "',-.")) + "])")
_POINT_AFTER_OTHER = re.compile(r"([^0-9])([.,])")
_POINT_BEFORE_OTHER = re.compile(r"([.,])([^0-9])")
_DASH_AFTER_DIGIT = re.compile(r"([0-9])-")
_PUNCTUATION = re.compile(r'[.,?:;!"()]')
_ASIAN_PUNCTUATION = re.compile("[\u3001\u3002\u3008-\u3011\u3014-\u301f\uff61-\uff65\u30fb"
                                "\uff0e\uff0c\uff1f\uff1a\uff1b\uff01\uff02\uff08\uff09]")
# ideographs, strokes, radicals, compatibility forms; the last range is as wide in sacrebleu
_ASIAN = re.compile("[\u4e00-\u9fff\u3400-\u4dbf\u31c0-\u31ef\u2e80-\u2eff\u3300-\u33ff\uf900-\ufaff\ufe30-\ufe4f"
                    "\u3200-\u3f22]")


def _normalized(text: str) -> str:
    for written, meant in _ENTITIES:
        text = text.replace(written, meant)
    text = _ALONE.sub(r" \1 ", f" {text} ").replace("'s ", " 's ")
    text = _POINT_AFTER_OTHER.sub(r"\1 \2 ", text)
    text = _POINT_BEFORE_OTHER.sub(r" \1 \2", text)
    return _DASH_AFTER_DIGIT.sub(r"\1 - ", text)


def _asian_apart(text: str) -> str:
    return _ASIAN_PUNCTUATION.sub(r" \g<0> ", _ASIAN.sub(r" \g<0> ", text))
