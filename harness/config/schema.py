"""What may stand in a config: pydantic models of the fixed documents, and one made from the fields of any plug-in dataclass."""

from __future__ import annotations

import dataclasses
import types
import typing
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Annotated, Any, Literal, TypeAlias

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, Strict, create_model, model_validator
from pydantic_core import PydanticCustomError

from harness.config import MAX_BOOTSTRAP
from harness.errors import HarnessError, UsageError
from harness.templates import PromptTemplate
from harness.types import Decoding


@dataclass(frozen=True, slots=True)
class Words:
    """What a message says was expected, in an annotation's metadata."""

    text: str


def _printable(text: str) -> str:
    if not text.strip() or not text.isprintable():
        raise ValueError
    return text


def _different(items: Sequence[Any]) -> Sequence[Any]:
    if len(set(items)) != len(items):
        raise PydanticCustomError("refused", "the values must be different from one another")
    return items


Text: TypeAlias = Annotated[str, Strict(), Words("a string")]
Name: TypeAlias = Annotated[str, Strict(), AfterValidator(_printable), Words("a name of printable characters")]
Number: TypeAlias = Annotated[float, Strict(), Words("a number")]
Whole: TypeAlias = Annotated[int, Strict(), Words("an integer")]
Flag: TypeAlias = Annotated[bool, Strict(), Words("true or false")]
Count: TypeAlias = Annotated[int, Strict(), Field(ge=1), Words("an integer ≥ 1")]
Replicates: TypeAlias = Annotated[
    int, Strict(), Field(ge=1, le=MAX_BOOTSTRAP), Words(f"an integer from 1 to {MAX_BOOTSTRAP:,}")
]
Seed: TypeAlias = Annotated[int, Strict(), Field(ge=0), Words("an integer ≥ 0")]
Fraction: TypeAlias = Annotated[float, Strict(), Field(ge=0, le=1), Words("a number from 0 to 1")]
Probability: TypeAlias = Annotated[float, Strict(), Field(gt=0, lt=1), Words("a number > 0 and < 1")]
Positive: TypeAlias = Annotated[float, Strict(), Field(gt=0), Words("a number > 0")]
Drop: TypeAlias = Annotated[float, Strict(), Field(ge=0), Words("a number ≥ 0")]
Percent: TypeAlias = Annotated[str, Strict(), Field(pattern=r"^[0-9]+(\.[0-9]+)?%$"), Words("a percentage such as '2%'")]
Names: TypeAlias = Annotated[tuple[Text, ...], Field(min_length=1), Words("a list of at least one string")]
Seeds: TypeAlias = Annotated[
    tuple[Seed, ...], Field(min_length=1), AfterValidator(_different), Words("a list of at least one integer")
]
Table: TypeAlias = Annotated[Mapping[str, Any], Words("a mapping")]
FullTable: TypeAlias = Annotated[Mapping[str, Any], Field(min_length=1), Words("a mapping with at least one entry")]
FullList: TypeAlias = Annotated[tuple[Any, ...], Field(min_length=1), Words("a list of at least one value")]


class Document(BaseModel):
    """A mapping in a config file that takes no other keys than these."""

    model_config = ConfigDict(extra="forbid", protected_namespaces=())


class SampleDocument(Document):
    """How a row becomes a sample: each value is a template, or a list or mapping of templates."""

    id: Any = Field(default=None, description="The sample's id; by default the row's id or _id, or else its number.")
    input: Any = Field(default=None, description="The fields that prompts see; by default the whole row.")
    references: Any = Field(default=None, description="Reference texts.")
    choices: Any = Field(default=None, description="The labels or answers to choose from.")
    target: Any = Field(default=None, description="The right label, index or number.")
    contexts: Any = Field(default=None, description="Passages that belong to the sample.")
    group: Any = Field(default=None, description="The cluster that is resampled as a whole.")
    slices: Any = Field(default=None, description="Breakdowns that are reported beside the whole: name → template.")
    qrels: Any = Field(default=None, description="Relevance judgements: document id → grade.")


class TaskDocument(Document):
    """The keys of a task beside those of its suite."""

    task: Name = Field(description="The task's name.")
    version: Count = Field(default=1, description="Raised by every change that moves a value.")
    language: Text = Field(default="en", description="Language of the texts; tokenisers and stemmers follow it.")
    suite: Text = Field(description="The kind of task; its keys are added to these.")
    data: Table = Field(description="Where the rows come from; its keys are those of the format.")
    sample: SampleDocument = Field(default=SampleDocument(), description="How a row becomes a sample.")
    metrics: Names = Field(description="Metrics, as spec strings.")
    primary: Text | None = Field(default=None, description="The headline metric, one of `metrics`; by default the first.")
    limit: Count | None = Field(default=None, description="Take only this many samples, the first ones.")
    models: Names | None = Field(default=None, description="Models of the run that take this task; by default all that can.")


class CacheDocument(Document):
    """Consent to keep the answers of a model that is not fixed by its content."""

    version: Text = Field(description="Name of the state of the model; another name asks again.")


class BudgetDocument(Document):
    """What a run may take before it stops, with everything that was answered kept. At least one of them."""

    max_cost: Positive | None = Field(default=None, description="In the currency of the models' `prices`.")
    max_tokens: Count | None = Field(default=None, description="Tokens read and written.")
    max_seconds: Positive | None = Field(default=None, description="Seconds from the start of the command.")

    @model_validator(mode="after")
    def _limits_something(self) -> BudgetDocument:
        if self.max_cost is None and self.max_tokens is None and self.max_seconds is None:
            raise PydanticCustomError("refused", "a budget needs max_cost, max_tokens or max_seconds")
        return self


class ScoringDocument(Document):
    """How answers are scored while the models go on answering."""

    workers: Seed | None = Field(default=None, description="Processes beside this one; 0: none; by default as it pays.")
    timeout_s: Positive = Field(
        default=60.0, description="Seconds that scoring one sample may take before it is missing, where a process beside this "
        "one does it: always for metrics with a pattern of your own.")


class RuleDocument(Document):
    """One rule of the gate: what it is for, and at least one of max_drop, min_value, max_value."""

    metric: Text = Field(default="*", description="Metric that the rule is for; * and ? are wildcards.")
    task: Text = Field(default="*", description="Task that the rule is for; * and ? are wildcards.")
    model: Text = Field(default="*", description="Model, or entry of the leaderboard, that the rule is for, with wildcards.")
    slice: Text | None = Field(default=None, description="Slices `name=value` that the rule is for, with wildcards; by default "
                               "the whole.")
    drift: Text | None = Field(default=None, description="Instead of a metric: a measure of drift from the baseline, for "
                               "max_value.")
    max_drop: Drop | Percent | None = Field(default=None, description="Most that it may be worse than the baseline: 0.02, or "
                                            "'2%' of it.")
    min_value: Number | None = Field(default=None, description="Smallest value that passes.")
    max_value: Number | None = Field(default=None, description="Largest value that passes.")

    @model_validator(mode="after")
    def _says_something(self) -> RuleDocument:
        if self.max_drop is None and self.min_value is None and self.max_value is None:
            raise PydanticCustomError("refused", "a rule needs max_drop, min_value or max_value")
        if self.drift is not None:
            self._check_drift()
        return self

    def _check_drift(self) -> None:
        if self.max_value is None or self.max_drop is not None or self.min_value is not None:
            raise PydanticCustomError("refused", "a rule on drift has max_value and no other limit")
        if self.slice is not None or "metric" in self.model_fields_set:
            raise PydanticCustomError("refused", "a rule on drift is for a task and a model, not for a metric or a slice")


Rules: TypeAlias = Annotated[tuple[RuleDocument, ...], Field(min_length=1), Words("a list of at least one rule")]
GateVerdict: TypeAlias = Literal["regressed", "inconclusive", "infrastructure", "passed"]
Occasions: TypeAlias = Annotated[
    tuple[GateVerdict, ...], Field(min_length=1), AfterValidator(_different), Words("a list of at least one verdict")
]


class NotifyDocument(Document):
    """Whom the gate tells of its verdict: a POST of JSON. ``${NAME}`` in the address and the headers is taken from the
    environment, so that no secret stands in a file."""

    url: Text = Field(description="Where the verdict is posted, http:// or https://.")
    on: Occasions = Field(default=("regressed",), description="Verdicts that are told.")
    headers: Mapping[str, Text] = Field(default_factory=dict, description="Headers of the request, besides Content-Type.")

    @model_validator(mode="after")
    def _is_an_address(self) -> NotifyDocument:
        if not self.url.startswith(("http://", "https://", "${")):
            raise PydanticCustomError("refused", "notify: the url must begin with http:// or https://")
        return self


class GateDocument(Document):
    """When a run may pass."""

    baseline: Text | None = Field(default=None, description="Run or name of the baseline that is compared with.")
    rules: Rules = Field(description="What must hold.")
    alpha: Probability = Field(default=0.05, description="Chance of a false alarm over all rules.")
    correction: Literal["holm", "bh", "by", "none"] = Field(default="holm", description="How p-values are adjusted.")
    on_inconclusive: Literal["pass", "fail"] | None = Field(default=None, description="By default an undecided gate exits 3.")
    max_missing: Fraction | None = Field(default=None, description="Largest share of missing samples; by default the run's.")
    sequential: Flag = Field(default=False, description="Spend alpha over a stream of runs on the same samples.")
    notify: NotifyDocument | None = Field(default=None, description="Whom to tell of which verdicts.")


class RunDocument(Document):
    """A run: models × tasks, over the cells of a matrix."""

    name: Name | None = Field(default=None, description="The run's name; by default the file's.")
    models: FullTable = Field(description="Models under test: name → backend and its keys.")
    roles: Table = Field(default_factory=dict, description="Models that serve the measuring: encoder, nli, judge, sampler.")
    tasks: FullList = Field(description="Paths of task files, or {use: path, …keys to override}.")
    matrix: Table = Field(default_factory=dict, description="Axes: key → values; one cell for every combination.")
    seeds: Seeds = Field(default=(0,), description="One repeat of every sample a seed.")
    limit: Count | None = Field(default=None, description="Limit of every task that has none of its own.")
    max_missing: Fraction = Field(default=0.01, description="Largest share of missing samples before the run exits with 4.")
    cache: CacheDocument | None = Field(default=None, description="Keep answers of models that are not fixed by their content.")
    budget: BudgetDocument | None = Field(default=None, description="What the run may take before it stops.")
    scoring: ScoringDocument = Field(default=ScoringDocument(), description="How answers are scored beside the calling.")
    level: Probability = Field(default=0.95, description="Confidence level of the intervals.")
    n_bootstrap: Replicates = Field(default=1000, description="Bootstrap replicates.")
    gate: GateDocument | None = Field(default=None, description="The rules that decide whether the run passes.")


# ── plug-ins ────────────────────────────────────────────────────────────────────────────────────────────────────────


@dataclass(frozen=True, slots=True)
class Key:
    """One key that a plug-in adds: the dataclass field it fills, its type as annotated, and whether it must be given."""

    key: str
    field: str
    hint: Any
    required: bool
    default: Any


REFUSALS = (HarnessError, ValueError, TypeError)
"""What a plug-in raises that does not take the values that it was given."""


@cache
def keys_of(cls: type) -> Mapping[str, Key]:
    """The keys of a plug-in dataclass: its init fields that do not start with ``_``; ``from_`` is ``from``.

    Raises UsageError for a class that is no dataclass or whose annotations cannot be read.
    """
    if not dataclasses.is_dataclass(cls):
        raise UsageError(f"{cls.__module__}:{cls.__name__} is not a dataclass")
    known = {"Path": Path, "Mapping": Mapping, "Sequence": Sequence, "PromptTemplate": PromptTemplate, "Decoding": Decoding}
    try:
        hints = typing.get_type_hints(cls, localns=known)
    except NameError as error:
        raise UsageError(f"{cls.__module__}:{cls.__name__}: the annotations cannot be read: {error}") from error
    keys = {}
    for f in dataclasses.fields(cls):
        if f.init and not f.name.startswith("_"):
            key = f.name.removesuffix("_")
            required = f.default is dataclasses.MISSING and f.default_factory is dataclasses.MISSING
            default = f.default_factory() if f.default_factory is not dataclasses.MISSING else f.default
            keys[key] = Key(key, f.name, hints[f.name], required, default)
    return types.MappingProxyType(keys)


@cache
def model_of(cls: type) -> type[BaseModel]:
    """The pydantic model of a plug-in dataclass. Field names are prefixed, since a key may be called ``schema`` or ``json``."""
    fields: dict[str, Any] = {}
    for key in keys_of(cls).values():
        annotation = Seed if key.key == "seed" and key.hint is int else _annotation(key.hint, key.default)
        default: Any = ... if key.required else None
        shown: dict[str, Any] = {"default": key.default} if isinstance(key.default, (str, int, float)) else {}
        info = Field(default, alias=key.key, description=describe_key(cls, key), json_schema_extra=shown)
        fields[f"key_{key.field}"] = (annotation, info)
    config = ConfigDict(extra="forbid", protected_namespaces=(), title=cls.__name__)
    return create_model(cls.__name__, __config__=config, __doc__=_first_line(cls), **fields)


def build(cls: type, checked: BaseModel, base: Any = None) -> Any:
    """The plug-in object from its validated keys, on top of ``base`` where the field that it fills has a default.

    Raises what its ``__post_init__`` raises; REFUSALS are faults of the config.
    """
    given = {name.removeprefix("key_"): getattr(checked, name) for name in checked.model_fields_set}
    return dataclasses.replace(base, **given) if base is not None else cls(**given)


def prompt_keys(cls: type) -> tuple[str, ...]:
    """The keys whose mapping may stand in a YAML file of its own: those of type PromptTemplate."""
    return keys_with(cls, PromptTemplate)


def keys_with(cls: type, kind: type) -> tuple[str, ...]:
    """The keys whose type is ``kind``, alone or in a union."""
    return tuple(key for key, field in keys_of(cls).items() if kind in _members(field.hint))


def describe_key(cls: type, key: Key) -> str:
    """The clause of the class's docstring that mentions the key, or its name."""
    doc = " ".join((cls.__doc__ or "").split())
    for sentence in doc.split(". "):
        if f"``{key.key}``" in sentence or f"``{key.field}``" in sentence:
            return sentence.replace("``", "`").rstrip(".") + "."
    return key.key.replace("_", " ")


_SCALARS: Mapping[Any, Any] = {str: Text, int: Whole, float: Number, bool: Flag, Path: Annotated[Path, Words("a path")]}


def _annotation(hint: Any, default: Any = None) -> Any:
    """A dataclass field's type as pydantic shall check it: strict scalars, nested dataclasses built on their default."""
    if hint in _SCALARS:
        return _SCALARS[hint]
    origin, arguments = typing.get_origin(hint), typing.get_args(hint)
    if origin in (typing.Union, types.UnionType):
        return typing.Union[tuple(_annotation(a, default) for a in arguments)]  # noqa: UP007
    if hint is type(None) or origin is Literal:
        return hint
    if origin is tuple:
        return tuple[tuple(a if a is ... else _annotation(a) for a in arguments)]  # type: ignore[misc]
    if origin is not None and issubclass(origin, (list, set, frozenset, Sequence)):
        return origin[_annotation(arguments[0])]
    if origin is not None and issubclass(origin, Mapping):
        return Mapping[str, _annotation(arguments[1])]  # type: ignore[misc]
    if isinstance(hint, type) and dataclasses.is_dataclass(hint):
        base = default if isinstance(default, hint) else None
        words = "a mapping or the path of a YAML file" if hint is PromptTemplate else "a mapping"
        return Annotated[model_of(hint), AfterValidator(_builder(hint, base)), Words(words)]
    return Any


def _builder(cls: type, base: Any) -> Callable[[BaseModel], Any]:
    def build_nested(checked: BaseModel) -> Any:
        try:
            return build(cls, checked, base)
        except REFUSALS as error:
            raise PydanticCustomError("refused", "{text}", {"text": str(error)}) from error

    return build_nested


def _members(hint: Any) -> Iterator[Any]:
    """The type itself, or the members of a union."""
    if typing.get_origin(hint) in (typing.Union, types.UnionType):
        yield from typing.get_args(hint)
    else:
        yield hint


def _first_line(cls: type) -> str:
    return (cls.__doc__ or cls.__name__).strip().partition("\n")[0]
