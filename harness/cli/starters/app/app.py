"""The application under test: put yours here. This one looks for the passage that shares most words with the question."""

PASSAGES = (
    "The reading room is open from nine to eight on weekdays and from ten to four on Saturdays.",
    "A book can be borrowed for four weeks and renewed twice, unless somebody else has reserved it.",
    "A lost card costs five euros to replace; bring an identity card to the desk on the ground floor.",
    "Group rooms are booked online, at most two weeks ahead, for three hours a day.",
    "The last bus to the station leaves from the main entrance at half past nine in the evening.",
)


def answer(asked: dict[str, str]) -> dict[str, object]:
    """``asked["question"]`` is the prompt. Returned: the answer, and what it was made from."""
    words = set(asked["question"].lower().strip("?").split())
    overlaps = [len(words & set(passage.lower().strip(".").split())) for passage in PASSAGES]
    best = max(range(len(PASSAGES)), key=overlaps.__getitem__)
    return {"answer": PASSAGES[best], "contexts": list(PASSAGES), "citations": [best]}
