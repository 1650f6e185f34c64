import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from harness.retrieval.top import Ids


def literal_ranking(ids: list[str], scores: list[float], k: int) -> list[tuple[str, float]]:
    """Score descending, ties by the bytes of the id descending: trec_eval's comparison with strcmp."""
    by_id = sorted(zip(ids, scores), key=lambda pair: pair[0].encode(), reverse=True)
    return sorted(by_id, key=lambda pair: -pair[1])[:k]


@settings(deadline=None)
@given(
    ids=st.lists(st.text(min_size=1, max_size=3, alphabet="aZ09é中𝄞"), unique=True, min_size=1, max_size=12),
    data=st.data(),
    k=st.integers(1, 15),
)
def test_equals_sorting_by_trec_evals_rule(ids: list[str], data: st.DataObject, k: int) -> None:
    scores = data.draw(st.lists(st.sampled_from([-1.0, 0.0, 0.5, 2.0]), min_size=len(ids), max_size=len(ids)))
    ranking = Ids(ids).ranking(np.arange(len(ids)), np.array(scores, dtype=np.float32), k)
    assert list(zip(ranking.documents, ranking.scores)) == literal_ranking(ids, scores, k)


def test_nothing_to_rank() -> None:
    ranking = Ids(["a"]).ranking(np.zeros(0, dtype=int), np.zeros(0), 10)
    assert (ranking.documents, ranking.scores) == ((), ())
