"""Secrets are hidden in whatever form they come back, and configs that hold one are refused."""

from __future__ import annotations

import html
import json
import time
from typing import Any
from urllib.parse import quote

import pytest

from harness.errors import BackendError, ConfigError
from harness.models.credentials import Hider, Key, credential_in, names_credential, refuse_credentials
from harness.models.limits import Refused, Trouble

KEY = "abc/def+Zq9x7Lm2/pT4vW8=\\x\"&'"
JSON = json.dumps(KEY)[1:-1]


@pytest.mark.parametrize(
    "written",
    [KEY, JSON, JSON.replace("/", "\\/"), json.dumps(JSON)[1:-1], json.dumps(JSON.replace("/", "\\/"))[1:-1], repr(KEY)[1:-1],
     KEY.replace("/", "\\u002F"), JSON.replace("/", "\\u002f"), quote(KEY), quote(KEY, safe=""),
     quote(quote(KEY, safe=""), safe=""), quote(KEY, safe="").replace("%2F", "%2f"), html.escape(KEY),
     KEY.replace("+", "&#43;").replace("/", "&#x2F;"),
     "abc%2Fdef+Zq9x7Lm2\\/" + html.escape("pT4vW8=\\x\"&'")],
)  # fmt: skip
def test_a_secret_is_hidden_however_it_is_written(written: str) -> None:
    hider = Hider([KEY])
    assert hider.hidden_in(f"say {written}, {written} or {written}") == "say [key], [key] or [key]"


@pytest.mark.parametrize(
    ("text", "hidden"),
    [
        ("y abc/def+", "y [key]"),  # its first 8 characters
        ("y abc/def", "y abc/def"),
        ("y abc/def+Zq9x7Lm2/p… (HTTP 400)", "y [key]… (HTTP 400)"),
        ("y abc/def+Zq9x... and more", "y [key]... and more"),
        ("y abc%2Fdef%2BZq9x7Lm2%2", "y [key]"),
        ("y abc\\/def+Zq9x7Lm2\\", "y [key]"),
        ("y abc/def+Zq and more", "y abc/def+Zq and more"),
        ("abc abc/def+ abc/def+Zq9x", "abc abc/def+ [key]"),
    ],
)  # fmt: skip
def test_the_beginning_of_a_secret_is_hidden_where_it_was_cut(text: str, hidden: str) -> None:
    assert Hider([KEY]).hidden_in(text) == hidden


def test_a_secret_that_another_begins_with_leaves_nothing_of_it() -> None:
    assert Hider(["sk-01234567", "sk-0123456789abcdef"]).hidden_in("x sk-0123456789abcdef sk-01234567") == "x [key] [key]"
    assert Hider(["EMPTY", "not-set", "letters", "lettersonly"]).hidden_in("EMPTY not-set letters lettersonly") == (
        "EMPTY not-set letters lettersonly"
    )


def test_every_string_of_a_document_is_looked_at() -> None:
    document: Any = {"a": [KEY, 1, None, {f"is {KEY}": ["x", quote(KEY, safe="")]}], "b": {"c": KEY}, "d": True}
    hidden = {"a": ["[key]", 1, None, {"is [key]": ["x", "[key]"]}], "b": {"c": "[key]"}, "d": True}
    assert Hider([KEY]).hidden_in_document(document) == hidden
    assert Hider([KEY]).hidden_in_document(f"{KEY}!") == "[key]!"
    deep: Any = KEY
    for _ in range(5000):
        deep = [deep]
    deep = Hider([KEY]).hidden_in_document(deep)
    while isinstance(deep, list):
        [deep] = deep
    assert deep == "[key]"


@pytest.mark.parametrize("error", [Trouble("format", f"no: {KEY}"), Refused(f"no: {KEY}"), BackendError(f"no: {KEY}")])
def test_exceptions_stay_what_they_are(error: Exception) -> None:
    with pytest.raises(type(error)) as caught, Key("V", KEY).hiding():
        raise error from ValueError(KEY)
    assert caught.value is error
    assert (str(error), getattr(error, "reason", "no: [key]")) == ("no: [key]", "no: [key]")
    assert error.__cause__ is None


def test_an_exception_whose_text_is_its_own() -> None:
    with pytest.raises(BackendError, match=r"^FileNotFoundError: \[Errno 2\] no: '\[key\]'$"), Key("V", KEY).hiding():
        raise FileNotFoundError(2, "no", KEY)


def test_texts_that_are_full_of_what_a_key_begins_with_take_no_time() -> None:
    began = time.process_time()
    for text in ("abc " * 25_000, "\\" * 100_000 + "abc", "abc/def" * 100_000, "&#" * 50_000 + "abc", "%25" * 30_000 + "abc"):
        assert Hider([KEY]).hidden_in(text) == text
    assert time.process_time() - began < 1


@pytest.mark.parametrize(
    "name",
    ["Authorization", "Proxy-Authorization", "X-Auth-Token", "X-Api-Key", "X-Goog-Api-Key", "Ocp-Apim-Subscription-Key",
     "api-key", "api_key", "apiKey", "APIKey", "apikey", "accessToken", "access_token", "clientSecret", "auth", "bearer",
     "user_token_2",
     "password", "dbPassword", "Cookie", "x-functions-key", "secretKey", "SESSION_TOKEN", "OAuth", "jwt",
     "aws_secret_access_key"],
)  # fmt: skip
def test_names_of_credentials(name: str) -> None:
    assert [names_credential(name), names_credential(name, "header"), names_credential(name, "query")] == [True] * 3


@pytest.mark.parametrize(
    "name",
    ["max_tokens", "max_completion_tokens", "stop_token_ids", "skip_special_tokens", "eos_token", "prompt_cache_key", "author",
     "tokenizer", "keywords", "key", "code", "signature", "authority", "monkey", "auth_mode", "token_type", "primary_key", "2"],
)  # fmt: skip
def test_names_of_fields_that_hold_none(name: str) -> None:
    assert not names_credential(name)


def test_a_header_and_a_query_have_more_of_them() -> None:
    assert [names_credential(name, "header") for name in ("X-Key", "X-Code", "Idempotency-Key")] == [True, False, False]
    assert all(names_credential(name, "query") for name in ("key", "sig", "code", "subscription-key", "X-Amz-Signature"))


def test_where_a_credential_is() -> None:
    assert credential_in({"a": 1, "auth": {"kind": {"of": ["x"]}}}) == "auth.kind.of"
    assert credential_in({"list": [{"apiKey": "x"}]}) == "list.apiKey"
    assert credential_in({"api_key": 12345678}) == "api_key"
    assert credential_in({"password": True, "api_key": None, "max_tokens": 12345678, "token": 3}) is None
    assert credential_in({"api_key": "${KEY}"}, "field", lambda text: "${" not in text) is None


def test_they_are_refused_without_being_shown() -> None:
    with pytest.raises(ConfigError, match="extra must not have 'api_key'") as caught:
        refuse_credentials("extra", {"top_k": 5, "api_key": KEY})
    assert KEY not in str(caught.value)
    refuse_credentials("headers", {"X-Title": "my run", "Idempotency-Key": "7"}, "header")
