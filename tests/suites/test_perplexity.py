"""The suite ``perplexity``: the text that is scored, how it is asked for, and the one kind of answer that it takes."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from harness.errors import ConfigError, DataError
from harness.suites.perplexity import PerplexitySuite
from harness.types import Label, Likelihoods, Perplexity, Sample, Text
from tests.suites.playing import answer, ask, data_set

PAGE = Sample("p1", {"text": "All good.", "title": "Page"})


def test_it_scores_the_text_of_its_template(tmp_path: Path) -> None:
    data = data_set(tmp_path, [{"text": "All good."}], {})
    assert ask(PerplexitySuite().prepare(data), PAGE) == Perplexity("All good.")
    assert ask(PerplexitySuite("{{ title }}\n{{ text }}").prepare(data), PAGE) == Perplexity("Page\nAll good.")


def test_how_it_is_scored_goes_with_the_request() -> None:
    suite = PerplexitySuite(stride=32, max_length=64, bos=False, token_logprobs=True)
    assert ask(suite, PAGE) == Perplexity("All good.", stride=32, max_length=64, bos=False, token_logprobs=True)


def test_likelihoods_are_the_answer_as_they_are() -> None:
    given = Likelihoods((-6.0,), (3,), n_words=2, n_bytes=9, token_logprobs=(-1.0, -2.0, -3.0))
    assert answer(PerplexitySuite(), PAGE, given) == given


@pytest.mark.parametrize(("given", "kind"), [(Text("All good."), "text"), (Label("good"), "label")])
def test_anything_else_is_refused(given: Text | Label, kind: str) -> None:
    with pytest.raises(TypeError, match=rf"^perplexity expects likelihoods, got {kind}$"):
        answer(PerplexitySuite(), PAGE, given)


@pytest.mark.parametrize(("options", "message"), [
    ({"stride": 0}, "stride must be a positive integer, got 0"),
    ({"max_length": -1}, "max_length must be a positive integer, got -1"),
    ({"stride": 65, "max_length": 64}, "stride must be at most max_length, 64, got 65"),
    ({"bos": "yes"}, "bos must be true, false or auto, got 'yes'"),
])
def test_options_that_cannot_be(options: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError, match=f"^{message}$"):
        PerplexitySuite(**options)
    assert PerplexitySuite(stride=64, max_length=64).stride == 64


def test_a_field_that_is_not_there_names_the_sample() -> None:
    with pytest.raises(DataError, match=r"^sample 'p1': text: no field 'body'; the fields are: .*text, title$"):
        ask(PerplexitySuite("{{ body }}"), PAGE)


def test_what_it_needs_and_gives() -> None:
    assert PerplexitySuite().needs() == {Perplexity}
    assert PerplexitySuite().gives() == {"likelihoods", "timing", "usage"}
