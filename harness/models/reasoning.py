"""What a model wrote before its answer, told from the answer by a rule that its entry in the config declares."""

from __future__ import annotations

from harness.errors import BackendError


def split_reasoning(text: str, marks: tuple[str, str], *, begun: bool = False) -> tuple[str, str | None]:
    """The answer, and what stands between the marks; None where the text has neither of them.

    What follows an opening mark that nothing closes is reasoning to the end, so that the answer may be empty; what stands
    before a closing mark that nothing opened is reasoning too. ``begun``: the prompt itself ended in the opening mark. Where
    anything is taken out, white space around both parts goes with it; several spans are joined by a newline.

    >>> split_reasoning("<think>4 and 4</think> 8", ("<think>", "</think>"))
    ('8', '4 and 4')
    >>> split_reasoning("<think>4 and", ("<think>", "</think>"))
    ('', '4 and')
    >>> split_reasoning("4 and 4</think> 8", ("<think>", "</think>"))
    ('8', '4 and 4')
    """
    opening, closing = marks
    if begun:
        text = opening + text
    if opening not in text and closing not in text:
        return text, None
    answers: list[str] = []
    spans: list[str] = []
    *closed, last = text.split(closing)
    for piece in closed:
        before, is_opened, inside = piece.partition(opening)
        spans.append(inside if is_opened else before)
        answers.append(before if is_opened else "")
    before, is_opened, inside = last.partition(opening)
    answers.append(before)
    spans += [inside] if is_opened else []
    return "".join(answers).strip(), "\n".join(span.strip() for span in spans).strip()


def check_marks(who: str, marks: tuple[str, str] | None) -> None:
    """Raises BackendError unless the marks are two different strings that are not empty, or None."""
    if marks is None:
        return
    if len(marks) != 2 or not all(isinstance(mark, str) and mark for mark in marks) or marks[0] == marks[1]:
        raise BackendError(f"{who}: reasoning must be an opening and a closing mark, such as [<think>, </think>], "
                           f"got {list(marks)!r}")
