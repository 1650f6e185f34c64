"""Spec string -> object. The only dynamic import: what is in the package, on an entry point, or ``package.module:Name``."""

from __future__ import annotations

import dataclasses
import importlib
import importlib.metadata
import pkgutil
import re
import types
import typing
from collections.abc import Callable, Iterator, Mapping
from functools import cache
from pathlib import Path
from typing import Any

from harness.errors import MetricError, UnknownName, UsageError, did_you_mean, nearest
from harness.protocols import Metric, parameters
from harness.specs import Spec, literal, parse_spec

PACKAGES: Mapping[str, tuple[str, ...]] = {
    "metric": ("harness.metrics",),
    "suite": ("harness.suites",),
    "backend": ("harness.models", "harness.retrieval"),
    "format": ("harness.data",),
}
"""Kind of plug-in -> the packages that are searched; the entry-point groups have the packages' names."""


# ── finding ─────────────────────────────────────────────────────────────────────────────────────────────────────────


@cache
def catalogue(kind: str) -> Mapping[str, type]:
    """Every plug-in of a kind by name, those of the package first, then those on entry points."""
    found: dict[str, type] = {}
    for package in PACKAGES[kind]:
        for cls in _classes_in(package):
            found[vars(cls)["name"]] = cls
        for entry in importlib.metadata.entry_points(group=package):
            found.setdefault(entry.name, entry.load())
    return types.MappingProxyType(dict(sorted(found.items())))


def find(kind: str, name: str) -> type:
    """The plug-in class of that name, or of ``package.module:Name``.

    Raises UnknownName with the nearest name, or UsageError if ``package.module:Name`` cannot be imported.
    """
    if ":" in name:
        return _from_path(kind, name)
    known = catalogue(kind)
    if name not in known:
        raise UnknownName(kind, name, known)
    return known[name]


def _classes_in(package: str, mentioning: str = "") -> Iterator[type]:
    """The plug-ins of a package; only those in modules whose source has the word ``mentioning`` in quotes, if one is given."""
    root = importlib.import_module(package)
    for info in pkgutil.iter_modules(root.__path__, prefix=f"{package}."):
        if mentioning and not _mentions(info, mentioning):
            continue
        module = importlib.import_module(info.name)
        for value in vars(module).values():
            if isinstance(value, type) and value.__module__ == module.__name__ and isinstance(vars(value).get("name"), str):
                yield value


def _mentions(info: pkgutil.ModuleInfo, word: str) -> bool:
    """Whether a module's source has a word in quotes; true where there is no source to look at."""
    spec = info.module_finder.find_spec(info.name, None)
    source = None if spec is None or spec.origin is None or not spec.origin.endswith(".py") else Path(spec.origin)
    return source is None or f'"{word}"' in source.read_text(encoding="utf-8")


def _from_path(kind: str, path: str) -> type:
    module_name, _, attribute = path.partition(":")
    if not re.fullmatch(r"\w+(\.\w+)*", module_name):
        raise UsageError(f"{kind} {path!r} is not of the form package.module:Name")
    try:
        value = getattr(importlib.import_module(module_name), attribute)
    except Exception as error:  # a module of the user's may raise anything
        raise UsageError(f"{kind} {path!r} cannot be imported: {type(error).__name__}: {error}") from error
    if not isinstance(value, type):
        raise UsageError(f"{kind} {path!r} is not a class")
    return value


# ── metric specs ────────────────────────────────────────────────────────────────────────────────────────────────────


def metric(text: str) -> Metric:
    """The metric that a spec string stands for.

    >>> metric("rouge(type=2)").spec
    'rouge(type=2)'
    >>> metric("recall@10").spec
    'recall@10'

    Raises MetricError for a bad spec or parameter, UnknownName for an unknown metric.
    """
    return _build_metric(parse_spec(text), text)


def located(metric: Metric, find: Callable[[Path], Path]) -> Metric:
    """The metric with every file among its parameters, those of metrics inside it too, where ``find`` says it is."""
    changed: dict[str, Any] = {}
    for key, value in parameters(metric).items():
        if isinstance(value, Path):
            changed[key] = find(value)
        elif isinstance(value, Metric):
            changed[key] = located(value, find)
    return dataclasses.replace(metric, **changed) if changed else metric


@cache
def metric_names() -> Mapping[str, tuple[type, Mapping[str, Any]]]:
    """Every name that a spec may start with -> its class and the parameters that the name stands for."""
    names: dict[str, tuple[type, Mapping[str, Any]]] = {}
    for name, cls in catalogue("metric").items():
        names[name] = (cls, {})
    for cls in catalogue("metric").values():
        for alias, values in getattr(cls, "aliases", {}).items():
            names.setdefault(alias, (cls, values))
    return types.MappingProxyType(names)


@cache
def metric_named(name: str) -> tuple[type, Mapping[str, Any]] | None:
    """The class and the parameters that a name or alias stands for, as in :func:`metric_names`; None for an unknown one.

    Importing every metric takes some tenths of a second: only modules that have the name in quotes are.
    """
    [package] = PACKAGES["metric"]
    likely: dict[str, Any] = {vars(cls)["name"]: cls for cls in _classes_in(package, mentioning=name)}
    if name not in likely:
        plugged = {entry.name: entry.load() for entry in importlib.metadata.entry_points(group=package)}
        likely = {**plugged, **likely}
    if name in likely:
        return likely[name], {}
    return next(((cls, cls.aliases[name]) for cls in likely.values() if name in getattr(cls, "aliases", {})), None)


def example_spec(name: str) -> str:
    """A spec of a metric's name or alias that can be typed as it stands.

    >>> example_spec("ndcg@k"), example_spec("group_gap"), example_spec("bleu")
    ('ndcg@10', 'group_gap(accuracy)', 'bleu')
    """
    cls: Any = metric_names()[name][0]
    example = str(getattr(cls, "example", ""))
    if name.endswith("@k"):
        return f"{name.removesuffix('k')}{example.partition('@')[2] or 10}"
    return example if example and name == cls.name else name


def is_metric(text: str) -> bool:
    """Whether a text is a spec whose name a metric has; its parameters may still be wrong."""
    try:
        spec = with_cut_off(parse_spec(text))
    except MetricError:
        return False
    return metric_named(spec.name if spec.k is None else f"{spec.name}@k") is not None


def with_cut_off(spec: Spec) -> Spec:
    """The spec with the cut-off that trec_eval writes into the name: ``P_5``, ``P.5`` and ``ndcg_cut_10`` are ``P@5`` and
    ``ndcg_cut@10``, unless a metric has that very name.

    >>> with_cut_off(Spec("P_5"))
    Spec(name='P', k='5', positional=(), named=())
    """
    found = _NAME_AND_CUT_OFF.fullmatch(spec.name) if spec.k is None else None
    if found is None or metric_named(spec.name) is not None or metric_named(f"{found['name']}@k") is None:
        return spec
    return dataclasses.replace(spec, name=found["name"], k=found["k"])


_NAME_AND_CUT_OFF = re.compile(r"(?P<name>[^@]*?[^@\d])(?:_|\.)(?P<k>\d+(?:\.\d+)?)")
"""A point after a digit belongs to a number: ``f1.5`` has no cut-off."""


def _build_metric(spec: Spec, text: str) -> Metric:
    spec = with_cut_off(spec)
    name = spec.name if spec.k is None else f"{spec.name}@k"
    if ":" in name:
        cls, values = _from_path("metric", name), dict[str, Any]()
    else:
        known = metric_named(name)
        if known is None:
            raise unknown_metric(spec)
        cls, values = known[0], dict(known[1])
    hints = _type_hints(cls)
    if not issubclass(cls, Metric):
        why = "is fitted, not scored: it is a calibrator" if hasattr(cls, "fit") else "is not a Metric"
        raise MetricError(f"{text}: {name} {why}")
    fields = {f.name: f for f in dataclasses.fields(cls) if f.init and f.repr}
    given = list(spec.named)
    if spec.k is not None:
        given.append(("k", spec.k))
    taken = values.keys() | {key for key, _ in given}
    free = [name for name, _ in sorted(fields.items(), key=lambda item: bool(item[1].kw_only)) if name not in taken]
    if len(spec.positional) > len(free):
        raise MetricError(f"{text}: {name} takes at most {len(free)} parameters")
    given += list(zip(free, spec.positional))
    for key, raw in given:
        if key not in fields:
            raise MetricError(f"{text}: {name} has no parameter {key!r}{did_you_mean(key, fields)}")
        values[key] = _coerce(raw, hints[key], f"{name}: {key}")
    missing = [f.name for f in fields.values()
               if f.name not in values and f.default is dataclasses.MISSING and f.default_factory is dataclasses.MISSING]
    if missing:
        raise MetricError(f"{text}: {name} needs {', '.join(missing)}")
    return cls(**values)


@cache
def _type_hints(cls: type) -> Mapping[str, Any]:
    return typing.get_type_hints(cls)


def unknown_metric(spec: Spec) -> Exception:
    """The error for a spec whose name is no metric's, with what was most likely meant."""
    known = metric_names()
    if spec.k is not None and spec.name in known:
        return MetricError(f"{spec.name} takes no @k")
    if spec.k is None and f"{spec.name}@k" in known:
        return MetricError(f"{spec.name} needs a cut-off: {spec.name}@10")
    written = spec.name if spec.k is None else f"{spec.name}@{spec.k}"
    guess = _meant(spec)
    hint = "; `harness list metrics` shows all" if guess is None else f"; did you mean {guess!r}?"
    return UnknownName("metric", written, known, hint)


def _meant(spec: Spec) -> str | None:
    """What an unknown name most likely means: the same letters, what another tool calls it, or else the nearest name."""
    cut = re.fullmatch(r"(.*\D)[_.](\d+)", spec.name) if spec.k is None else None
    names, known = _by_letters(), metric_names()
    for written, k in ((spec.name, spec.k), *([(cut[1], cut[2])] if cut else [])):
        letters = _letters(written)
        found = _SYNONYMS.get(letters) or names.get(letters + ("@k" if k is not None else "")) or names.get(letters)
        found = found or names.get(f"{letters}@k")
        if found is not None:
            return _cut_at(found, k)
    of_its_kind = [name.removesuffix("@k") for name in known if name.endswith("@k")] if spec.k is not None else list(known)
    guess = nearest(spec.name, of_its_kind)
    return None if guess is None else _cut_at(guess if spec.k is None else f"{guess}@k", spec.k)


def _cut_at(name: str, k: str | None) -> str:
    """The name with its cut-off: the one that was written, or one to begin with."""
    name = f"{name}@k" if k is not None and f"{name}@k" in metric_names() else name
    return f"{name.removesuffix('k')}{k or 10}" if name.endswith("@k") else name


def _letters(name: str) -> str:
    """A name without what spellings differ in: ``ROUGE-Lsum`` and ``rouge_lsum`` are one."""
    return re.sub(r"[-_.\s]", "", name.lower())


@cache
def _by_letters() -> Mapping[str, str]:
    """Every metric's name by its letters, those of its own name before those of aliases."""
    found: dict[str, str] = {}
    for name in sorted(metric_names(), key=lambda name: name not in catalogue("metric")):
        found.setdefault(_letters(name), name)
    return types.MappingProxyType(found)


_SYNONYMS: Mapping[str, str] = {
    "auc": "roc_auc", "auroc": "roc_auc", "rocaucscore": "roc_auc", "aucroc": "roc_auc", "aupr": "pr_auc", "auprc": "pr_auc",
    "prauc": "pr_auc", "averageprecisionscore": "average_precision", "ap": "average_precision", "brierscore": "brier",
    "brierscoreloss": "brier", "crossentropyloss": "log_loss", "logloss": "log_loss", "nll": "log_loss",
    "accuracyscore": "accuracy", "balancedaccuracyscore": "balanced_accuracy", "f1score": "f1", "f1macro": "macro_f1",
    "f1micro": "micro_f1", "f1weighted": "weighted_f1", "fbetascore": "f_beta", "fscore": "f1", "fmeasure": "f1",
    "precisionscore": "precision", "recallscore": "recall", "sensitivity": "recall", "tpr": "recall", "ppv": "precision",
    "matthewscorrcoef": "mcc", "matthewscorrelation": "mcc", "matthews": "mcc", "kappa": "cohen_kappa",
    "cohenkappascore": "cohen_kappa", "cohenskappa": "cohen_kappa", "quadraticweightedkappa": "cohen_kappa(weights=quadratic)",
    "qwk": "cohen_kappa(weights=quadratic)", "hammingloss": "hamming", "topkaccuracyscore": "top_k_accuracy",
    "confusion": "confusion_matrix", "expectedcalibrationerror": "ece", "maximumcalibrationerror": "mce",
    "adaptivecalibrationerror": "ace", "calibrationerror": "ece", "kolmogorovsmirnov": "ks",
    "meanabsoluteerror": "mae", "meansquarederror": "mse", "rootmeansquarederror": "rmse", "medianabsoluteerror": "medae",
    "meanabsolutepercentageerror": "mape", "r2score": "r2", "rsquared": "r2", "rsquare": "r2", "pearsonr": "pearson",
    "spearmanr": "spearman", "spearmanrho": "spearman", "kendalltau": "kendall", "quantileloss": "pinball",
    "pinballloss": "pinball", "sacrebleu": "bleu", "bleu4": "bleu", "corpusbleu": "bleu", "bleu1": "bleu(max_order=1)",
    "bleu2": "bleu(max_order=2)", "bleu3": "bleu(max_order=3)", "chrf++": "chrf_pp", "chrfplusplus": "chrf_pp",
    "translationeditrate": "ter", "worderrorrate": "wer", "charactererrorrate": "cer", "em": "exact_match",
    "squadem": "exact_match", "squadf1": "token_f1", "squad": "token_f1", "qaf1": "token_f1", "f1token": "token_f1",
    "bertscoref1": "bertscore", "sentencesimilarity": "embedding_similarity", "sts": "sts_spearman", "rougen": "rouge_2",
    "cosinesimilarity": "cosine", "cossim": "cosine", "ppl": "perplexity", "bpb": "bits_per_byte", "selfbleu": "self_bleu",
    "frechet": "fid", "frechetdistance": "fid", "frechetinceptiondistance": "fid", "kernelinceptiondistance": "kid",
    "intersectionoverunion": "iou", "miou": "iou", "meaniou": "iou", "jaccardindex": "jaccard_score", "dicescore": "dice",
    "kldivergence": "kl", "jsdivergence": "js", "jensenshannon": "js", "emd": "wasserstein", "seqeval": "ner_f1",
    "hitrate": "hit@k", "hits": "hit@k", "prec": "precision@k", "meanaverageprecision": "map", "meanreciprocalrank": "mrr",
    "reciprocalrank": "mrr", "rprecision": "r_precision", "faithfulness": "support", "groundedness": "support",
    "krippendorff": "krippendorff_alpha", "winrate": "pairwise_win_rate", "ttft": "time_to_first_token",
    "adjustedrandscore": "ari", "normalizedmutualinfoscore": "nmi", "silhouettescore": "silhouette",
}  # fmt: skip
"""The letters of what other tools call a metric -> our name or spec; it only serves the guess that an error makes."""


def _coerce(raw: Any, hint: Any, what: str) -> Any:
    """The value of a parameter as its annotation wants it; raises MetricError naming what was expected."""
    origin, arguments = typing.get_origin(hint), typing.get_args(hint)
    if origin in (typing.Union, types.UnionType):
        if raw in ("none", "None", None) and type(None) in arguments:
            return None
        return _coerce_any([a for a in arguments if a is not type(None)], raw, what)
    if origin is typing.Literal:
        text = literal(raw) if not isinstance(raw, str) else raw
        for option in arguments:
            if text == str(option) or raw == option:
                return option
        raise MetricError(f"{what} must be one of {', '.join(map(str, arguments))}, got {text!r}")
    if origin is tuple:
        items = raw if isinstance(raw, tuple) else (raw,)
        return tuple(_coerce(item, arguments[0], what) for item in items)
    if isinstance(hint, type) and issubclass(hint, Metric):
        return _build_metric(raw if isinstance(raw, Spec) else Spec(str(raw)), str(raw))
    return _coerce_scalar(raw, hint, what)


def _coerce_any(options: list[Any], raw: Any, what: str) -> Any:
    for option in options[:-1]:
        try:
            return _coerce(raw, option, what)
        except MetricError:
            continue
    return _coerce(raw, options[-1], what)


def _coerce_scalar(raw: Any, hint: Any, what: str) -> Any:
    if hint is Any:
        return raw
    if isinstance(raw, Spec):
        raise MetricError(f"{what} must be {_SCALARS.get(hint, hint)}, got {raw.name!r}")
    text = str(raw)
    if hint is str:
        return text
    if hint is Path:
        return Path(text)
    if hint is bool and text.lower() in ("true", "false"):
        return text.lower() == "true"
    try:
        if hint is int:
            return int(text)
        if hint is float:
            return float(text)
    except ValueError:
        pass
    raise MetricError(f"{what} must be {_SCALARS.get(hint, hint)}, got {text!r}")


_SCALARS: Mapping[Any, str] = {int: "an integer", float: "a number", bool: "true or false", str: "a string"}
