"""The suite ``perplexity``: the text that is scored, and the one kind of answer that it takes."""

from __future__ import annotations

from pathlib import Path

import pytest

from harness.errors import DataError
from harness.suites.perplexity import PerplexitySuite
from harness.types import Label, Likelihoods, Perplexity, Sample, Text
from tests.suites.playing import answer, ask, data_set

PAGE = Sample("p1", {"text": "All good.", "title": "Page"})


def test_it_scores_the_text_of_its_template(tmp_path: Path) -> None:
    data = data_set(tmp_path, [{"text": "All good."}], {})
    assert ask(PerplexitySuite().prepare(data), PAGE) == Perplexity("All good.")
    assert ask(PerplexitySuite("{{ title }}\n{{ text }}").prepare(data), PAGE) == Perplexity("Page\nAll good.")


def test_likelihoods_are_the_answer_as_they_are() -> None:
    given = Likelihoods((-6.0,), (3,), n_words=2, n_bytes=9)
    assert answer(PerplexitySuite(), PAGE, given) == given


@pytest.mark.parametrize(("given", "kind"), [(Text("All good."), "text"), (Label("good"), "label")])
def test_anything_else_is_refused(given: Text | Label, kind: str) -> None:
    with pytest.raises(TypeError, match=rf"^perplexity expects likelihoods, got {kind}$"):
        answer(PerplexitySuite(), PAGE, given)


def test_a_field_that_is_not_there_names_the_sample() -> None:
    with pytest.raises(DataError, match=r"^sample 'p1': text: no field 'body'; the fields are: .*text, title$"):
        ask(PerplexitySuite("{{ body }}"), PAGE)


def test_what_it_needs_and_gives() -> None:
    assert PerplexitySuite().needs() == {Perplexity}
    assert PerplexitySuite().gives() == {"likelihoods", "timing", "usage"}
