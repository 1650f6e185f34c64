"""Log-likelihoods from a completion that echoes what it read: which of its tokens a continuation is made of, or none at all."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any, TypeAlias

from harness.models.limits import Refused, Trouble
from harness.models.openaianswers import choices_in, number
from harness.types import Likelihoods

Span: TypeAlias = tuple[int, int]
"""The first of some tokens and the one after the last of them."""

_MOST_SPECIAL = 4
_MOST_WRITTEN = 1


def likelihoods_in(document: Any, starts: int, texts: Sequence[str]) -> Likelihoods:
    """Log-probabilities of what stands behind ``starts`` characters of each text, from a completion with ``echo``.

    A token that begins before and ends behind belongs to what stands behind, as in the ``transformers`` backend, which gives
    the blanks at a prefix's end to the continuation. Raises Trouble for what cannot be read, and Refused where the service does
    not score what it reads, or where its tokens cannot be found in the text.
    """
    choices = choices_in(document)
    by_index = {index if isinstance(index := choice.get("index"), int) else place: choice
                for place, choice in enumerate(choices) if isinstance(choice, Mapping)}  # fmt: skip
    if sorted(by_index) != list(range(len(texts))):
        raise Trouble("format", f"{len(texts)} texts were to be scored, the answer has {len(choices)}")
    scored = [_scored(by_index[place], starts, text) for place, text in enumerate(texts)]
    return Likelihoods(tuple(total for total, _, _ in scored), tuple(n for _, n, _ in scored), tuple(g for _, _, g in scored))


def _scored(choice: Mapping[str, Any], start: int, text: str) -> tuple[float, int, bool]:
    """Sum, number and greediness of the tokens of ``text[start:]``."""
    listed = choice.get("logprobs")
    if not isinstance(listed, Mapping) or not all(listed.get(key) for key in ("tokens", "token_logprobs")):
        raise Refused("the service gives no log-probabilities of the text that it reads (echo with logprobs)")
    tokens, logprobs, best = listed["tokens"], listed["token_logprobs"], listed.get("top_logprobs") or []
    if not (isinstance(tokens, list) and isinstance(logprobs, list) and isinstance(best, list)):
        raise Trouble("format", "the tokens of the text or their log-probabilities are no lists")
    if len(tokens) != len(logprobs) or not all(isinstance(token, str) for token in tokens):
        raise Trouble("format", f"the text has {len(tokens)} tokens and {len(logprobs)} log-probabilities")
    first, end = span_of(tokens, text, start)
    total, is_greedy = 0.0, True
    for place in range(first, end):
        if logprobs[place] is None:
            raise Refused("the service does not score the first token of a text: the prefix must not be empty")
        if (logprob := number(logprobs[place])) is None:
            raise Trouble("format", "a log-probability is no number")
        total, is_greedy = total + logprob, is_greedy and logprob >= _best(best, place)
    return total, end - first, is_greedy


def span_of(tokens: Sequence[str], text: str, start: int) -> Span:
    """Which of the tokens ``text[start:]`` is made of; before the text may be special ones, behind it one that was written.

    The offsets that services tell are not looked at: special tokens, and characters that several tokens share, put them out.
    Raises Refused where more than one answer is possible, or none.

    >>> span_of(["<s>", "2", " +", " 2", " is", " 4", "."], "2 + 2 is 4", 8)
    (5, 6)
    """
    for skipped in range(_MOST_SPECIAL + 1):
        if found := _walked(tokens, skipped, text, start):
            return _sure(found)
    ends = {len(tokens) - written for written in range(_MOST_WRITTEN + 1) if len(tokens) > written}
    spans = {span for end in ends if (span := _walked_back(tokens, end, text, start)) is not None}
    if len(spans) != 1:
        raise Refused("the tokens that the service lists are not those of the text: no log-probability is sure")
    return _sure(spans.pop())


def _walked(tokens: Sequence[str], skipped: int, text: str, start: int) -> Span | None:
    """The span of the continuation, where the tokens behind the skipped ones are those of the text."""
    at, first, end = 0, None, skipped
    for place, token in enumerate(tokens[skipped:], skipped):
        if at == len(text):
            break
        if not text.startswith(token, at):
            return None
        if not token and at == start > 0:
            raise Refused("a token without a text stands where the continuation begins: nobody knows to which side it belongs")
        if first is None and at + len(token) > start:
            first = place
        at, end = at + len(token), place + 1
    if at < len(text):
        return None
    if len(tokens) - end > _MOST_WRITTEN and "" in tokens[end:]:
        raise Refused("tokens without a text stand behind the continuation: nobody knows to which side they belong")
    return end if first is None else first, end


def _walked_back(tokens: Sequence[str], end: int, text: str, start: int) -> Span | None:
    """The span of the continuation, where these tokens up to ``end`` are the last of the text."""
    at, first = len(text), end
    while at > start:
        first -= 1
        if first < 0 or not tokens[first] or not text.endswith(tokens[first], 0, at):
            return None
        at -= len(tokens[first])
    return first, end


def _sure(span: Span) -> Span:
    if span[0] >= span[1]:
        raise Refused("a continuation has no token of its own after its prefix")
    return span


def _best(best: Sequence[Any], place: int) -> float:
    """The log-probability of the likeliest token there; ∞ where it is not told."""
    others = best[place] if place < len(best) else None
    told = others.values() if isinstance(others, Mapping) else ()
    known = [value for one in told if (value := number(one)) is not None]
    return max(known, default=math.inf)
