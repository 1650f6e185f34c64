"""From prompts to token ids: chat template, beginning-of-sequence policy, and where a continuation starts."""

from __future__ import annotations

import hashlib
import json
from datetime import date
from typing import TYPE_CHECKING, Any, Literal

from harness.errors import BackendError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from harness.types import Message, Prompt

ChatTemplate = bool | Literal["auto"]

TODAY = "2024-07-26"
"""The date that templates are told. It is the one that the templates of Llama 3 have for renderers without a clock."""


class Unanswerable(Exception):
    """One request cannot be answered; its text becomes the ``error`` of that request's output."""


class Prompts:
    """Turns prompts into token ids for one tokenizer.

    ``chat_template``: True renders conversations with the tokenizer's template (refused where it has none), False joins
    their contents by blank lines, "auto" does the first where there is a template and else the second. Plain text is never
    templated. A template that asks for today's date is told ``TODAY``, so that a prompt is the same on every day.

    A beginning-of-sequence token is put in front only where the tokenizer itself does so, and never twice: not before a text
    or a template that brings it along, and of two that they bring one is left out.
    """

    def __init__(self, tokenizer: Any, chat_template: ChatTemplate) -> None:
        self.tokenizer = tokenizer
        template = _template_text(tokenizer) if chat_template else None
        if chat_template is True and template is None:
            raise BackendError("transformers backend: chat_template is true, but this model's tokenizer has no chat template; "
                               "write `chat_template: false` to have conversations joined by blank lines")
        self.asks_for_date = template is not None and _ASKS in template
        self.template = _DATED + template if template is not None and self.asks_for_date else template
        self.adds_bos = _adds_bos(tokenizer)
        self.prefix_token = _prefix_token(tokenizer)
        self.chat_end = _chat_end(tokenizer, self.template) if self.template is not None else None

    def render(self, prompt: Prompt) -> str:
        """The text that a prompt stands for. Raises Unanswerable where the template refuses the conversation or fails on it."""
        if isinstance(prompt, str):
            return prompt
        if self.template is None:
            return "\n\n".join(message.content for message in prompt)
        return _render_chat(self.tokenizer, self.template, prompt)

    def encode(self, text: str) -> list[int]:
        """Token ids of a text, with a leading beginning-of-sequence token where the policy wants one."""
        ids = self.bare(text)
        if not self.adds_bos:
            return ids
        # Asked of the tokens, not of the text: what looks like the token need not be read as one.
        bos = self.tokenizer.bos_token_id
        brought = next((place for place, token in enumerate(ids) if token != bos), len(ids))
        return [bos, *ids[brought:]]

    def bare(self, text: str) -> list[int]:
        """Token ids of a text and nothing added to them."""
        return _ids(self.tokenizer, text)

    def pairs(self, prefix: str, continuations: tuple[str, ...]) -> list[tuple[list[int], list[int]]]:
        """Context and continuation ids, cut as lm-evaluation-harness cuts them for causal models.

        Whole and prefix are tokenised, and what the whole has beyond the prefix's length is the continuation; blanks at the
        prefix's end go over to the continuation first, since most vocabularies join them to the next word. An empty prefix
        becomes the one token ``prefix_token``. Raises Unanswerable for a continuation without a token of its own.
        """
        kept = prefix.rstrip()
        moved = prefix[len(kept) :]
        context = self.encode(kept) if kept else []
        return [self._pair(kept, context, moved + continuation) for continuation in continuations]

    def _pair(self, prefix: str, context: list[int], continuation: str) -> tuple[list[int], list[int]]:
        if not context:
            start, ids = [self.prefix_token], self.bare(continuation)
            if ids[:1] == start:
                ids = ids[1:]
        else:
            start, ids = context, self.encode(prefix + continuation)[len(context) :]
        if not ids:
            raise Unanswerable(f"the continuation {continuation!r} has no token of its own after this prefix")
        return start, ids

    def signature(self) -> Mapping[str, Any]:
        """What of the prompts' making fixes a model's answers."""
        return {
            "chat_template": None if self.template is None else _hash(self.template),
            "tokenizer": _hash(_tokenizer_text(self.tokenizer)),
            "bos": "added" if self.adds_bos else "not added",
            "prefix_token": self.prefix_token,
        }


def keep_in_texts(tokenizer: Any, marks: tuple[str, ...]) -> None:
    """Have these strings kept in the texts that the tokenizer decodes, also where they are special tokens, which it drops.

    Raises BackendError for a tokenizer in which that cannot be changed.
    """
    if all(mark in tokenizer.decode(_ids(tokenizer, mark), skip_special_tokens=True) for mark in marks):
        return
    if getattr(tokenizer, "backend_tokenizer", None) is None:
        raise BackendError(f"transformers backend: this model's tokenizer drops {' and '.join(marks)} from its texts and "
                           "cannot be told not to: leave reasoning out")
    document = json.loads(tokenizer.backend_tokenizer.to_str())
    for token in document["added_tokens"]:
        token["special"] = token["special"] and token["content"] not in marks
    # Adding a token again does not change what it is.
    tokenizer._tokenizer = type(tokenizer.backend_tokenizer).from_str(json.dumps(document))


def _ids(tokenizer: Any, text: str) -> list[int]:
    return list(tokenizer(text, add_special_tokens=False, verbose=False)["input_ids"])


def _template_text(tokenizer: Any) -> str | None:
    if not getattr(tokenizer, "chat_template", None):
        return None
    return str(tokenizer.get_chat_template())


def _adds_bos(tokenizer: Any) -> bool:
    """Asked of the tokenizer's doing, not of its settings: ``add_bos_token`` is absent or wrong in many."""
    if tokenizer.bos_token_id is None:
        return False
    return bool(tokenizer("a")["input_ids"][:1] == [tokenizer.bos_token_id])


def _prefix_token(tokenizer: Any) -> int:
    """What stands before an empty prefix: the beginning-of-sequence token or, in models without one, the end's."""
    for token in (tokenizer.bos_token_id, tokenizer.eos_token_id):
        if token is not None:
            return int(token)
    raise BackendError("transformers backend: the tokenizer has neither a beginning- nor an end-of-sequence token")


def _clock() -> str:
    """A macro in the place of the function ``strftime_now`` that transformers gives to templates: the same on every day.

    It is part of the template, and so of the signature, and needs nothing of transformers. Names are English whatever the
    locale; directives that are not here stand as they are.
    """
    day = date.fromisoformat(TODAY)
    said = {"Y": f"{day.year}", "y": f"{day.year % 100:02}", "m": f"{day.month:02}", "-m": f"{day.month}", "d": f"{day.day:02}",
            "e": f"{day.day:2}", "-d": f"{day.day}", "j": f"{day.timetuple().tm_yday:03}", "B": "July", "b": "Jul", "h": "Jul",
            "A": "Friday", "a": "Fri", "u": "5", "w": "5", "F": TODAY, "D": "07/26/24", "x": "07/26/24", "X": "00:00:00",
            "T": "00:00:00", "R": "00:00", "H": "00", "-H": "0", "I": "12", "-I": "12", "M": "00", "-M": "0", "S": "00",
            "-S": "0", "f": "000000", "p": "AM", "c": "Fri Jul 26 00:00:00 2024", "Z": "", "z": ""}
    filters = "".join(f"|replace('%{directive}', '{text}')" for directive, text in said.items())
    # A percent sign that stands for itself is out of the way meanwhile.
    told = f"format|replace('%%', '\\0'){filters}|replace('\\0', '%')"
    return f"{{% macro strftime_now(format) %}}{{{{ {told} }}}}{{% endmacro %}}\n"


_ASKS = "strftime_now"
_DATED = _clock()


def _chat_end(tokenizer: Any, template: str) -> int | None:
    """The special token that closes an assistant's turn, read off the template; many models do not list it as their eos."""
    mark = "MARK"
    turns = [{"role": "user", "content": "a"}, {"role": "assistant", "content": mark}]
    try:
        after = str(tokenizer.apply_chat_template(turns, chat_template=template, tokenize=False)).rpartition(mark)[2]
    except Exception:  # a template is anybody's program, and may fail as any program may
        return None
    ids = _ids(tokenizer, after)
    return ids[0] if ids and ids[0] in tokenizer.all_special_ids else None


def _render_chat(tokenizer: Any, template: str, messages: tuple[Message, ...]) -> str:
    from jinja2 import TemplateError

    if not messages:
        raise Unanswerable("the conversation has no messages")
    turns = [{"role": message.role, "content": message.content} for message in messages]
    # A conversation that ends in the assistant's words is to be continued in that turn, not answered in a new one.
    begun = messages[-1].role == "assistant"
    try:
        return str(tokenizer.apply_chat_template(turns, chat_template=template, tokenize=False, add_generation_prompt=not begun,
                                                 continue_final_message=begun))
    except (TemplateError, ValueError) as error:
        raise Unanswerable(f"the chat template refuses this conversation: {error}") from error
    except Exception as error:  # a template is anybody's program, and may fail as any program may
        raise Unanswerable(f"the chat template fails on this conversation ({type(error).__name__}: {error})") from error


def _tokenizer_text(tokenizer: Any) -> str:
    fast = getattr(tokenizer, "backend_tokenizer", None)
    vocabulary = fast.to_str() if fast is not None else json.dumps(sorted(tokenizer.get_vocab().items()))
    return f"{vocabulary}\n{json.dumps(tokenizer.special_tokens_map, sort_keys=True, default=str)}"


def _hash(text: str) -> str:
    return hashlib.blake2b(text.encode(), digest_size=10).hexdigest()
