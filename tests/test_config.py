"""Config files: what they build, and the exact text of every fault."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, ClassVar, Literal

import jsonschema
import pytest
import yaml
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from harness.config import RunConfig, json_schema, load_run, load_task, slug
from harness.config.schema import RunDocument, TaskDocument, keys_of
from harness.errors import ConfigError, UsageError
from harness.templates import PromptTemplate, Shots
from harness.types import Decoding

HERE = "tests.test_config"


@dataclass(frozen=True)
class Essay:
    """A suite with every sort of key. ``mood`` colours the text; ``from`` says where it comes from."""

    name: ClassVar[str] = "essay"
    prompt: PromptTemplate | None = None
    decoding: Decoding = Decoding(max_tokens=16)
    mood: Literal["glad", "sad"] = "glad"
    choices: tuple[str, ...] = ()
    from_: str = "train"
    play_: bool = False
    k: int | None = None
    weight: float | Literal["auto"] = "auto"
    shots: tuple[Shots, ...] = ()
    strict: bool = False
    _hidden: int = 3
    made: int = field(default=0, init=False)

    def __post_init__(self) -> None:
        if self.k is not None and self.k < 1:
            raise ValueError(f"k must be a positive integer, got {self.k}")


@dataclass(frozen=True)
class Lookup:
    """A suite without a prompt."""

    name: ClassVar[str] = "lookup"
    depth: int = 10


@dataclass
class Echo:
    """A backend with every sort of path."""

    name: ClassVar[str] = "echo"
    source: str = ""
    dtype: str = "float32"
    path: Path | Mapping[str, Path] | None = None
    batch: int = 1
    made: int = field(default=0, init=False)


@dataclass(frozen=True)
class Lines:
    """A data format."""

    name: ClassVar[str] = "lines"
    path: Path
    split: str = "test"
    splits: Mapping[str, Path] = field(default_factory=dict)


TASK = f"""\
task: summaries
suite: {HERE}:Essay
data: {{format: {HERE}:Lines, path: data/a.txt}}
sample: {{id: "{{{{ id }}}}", references: ["{{{{ summary }}}}"]}}
prompt: {{text: "Say {{{{ x }}}}"}}
metrics: [exact_match, bleu]
"""
RUN = f"""\
models:
  echo: {{backend: {HERE}:Echo}}
tasks: [tasks/a.yaml]
"""


@dataclass(frozen=True)
class Project:
    """Config files in a folder of their own, which is the current one."""

    root: Path

    def write(self, name: str, text: str) -> Path:
        path = self.root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
        return path

    def run(self, text: str = RUN, *sets: str) -> RunConfig:
        return load_run(self.write("configs/run.yaml", text), sets)

    def faults(self, text: str = RUN, *sets: str) -> list[str]:
        with pytest.raises(ConfigError) as caught:
            self.run(text, *sets)
        return list(caught.value.problems)

    def task_faults(self, text: str) -> list[str]:
        with pytest.raises(ConfigError) as caught:
            load_task(self.write("tasks/a.yaml", text))
        return list(caught.value.problems)


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Project:
    monkeypatch.chdir(tmp_path)
    made = Project(tmp_path)
    made.write("tasks/data/a.txt", "x\n")
    made.write("tasks/a.yaml", TASK)
    return made


def task_with(**keys: str) -> str:
    """TASK with some lines replaced or added; None takes a line away."""
    lines = {line.partition(":")[0]: line for line in TASK.splitlines()}
    lines |= {key: f"{key}: {value}" for key, value in keys.items()}
    return "\n".join(lines.values()) + "\n"


# ── what is built ───────────────────────────────────────────────────────────────────────────────────────────────────


def test_a_run_without_a_matrix_is_one_cell_of_built_parts(project: Project) -> None:
    run = project.run()
    assert (run.name, run.path, run.seeds, run.max_missing, run.level, run.n_bootstrap, run.cache, run.gate, run.roles) == (
        "run", project.root / "configs" / "run.yaml", (0,), 0.01, 0.95, 1000, None, None, {}
    )  # fmt: skip
    (cell,) = run.cells
    assert cell.axes == {}
    assert cell.models["echo"].backend == Echo()
    assert cell.models["echo"].backend_name == f"{HERE}:Echo"
    (task,) = cell.tasks
    assert task.suite == Essay(prompt=PromptTemplate(text="Say {{ x }}"))
    assert task.source == Lines(project.root / "tasks" / "data" / "a.txt")
    assert [metric.spec for metric in task.metrics] == ["exact_match", "bleu(tokenize=13a)"]
    assert task.metric_specs == ("exact_match", "bleu")
    assert task.primary is task.metrics[0]
    assert (task.name, task.slug, task.version, task.language, task.limit, task.models) == (
        "summaries", "summaries", 1, "en", None, None
    )  # fmt: skip
    assert task.sample == {"id": "{{ id }}", "references": ["{{ summary }}"]}
    assert task.path == project.root / "tasks" / "a.yaml"


def test_nested_mappings_lists_and_keywords_reach_the_suite(project: Project) -> None:
    project.write(
        "tasks/a.yaml",
        task_with(
            prompt='{system: be brief, user: "{{ x }}", shots: {from: dev, n: 2}}',
            decoding='{temperature: 1, stop: ["\\n"]}',
            **{"from": "dev", "play": "true"},
            mood="sad",
            choices="[yes, no]",
            weight="2",
            shots="[{n: 1}, {from: a}]",
            strict="true",
        ),
    )
    suite = project.run().cells[0].tasks[0].suite
    assert suite == Essay(
        prompt=PromptTemplate(system="be brief", user="{{ x }}", shots=Shots("dev", 2)),
        decoding=Decoding(max_tokens=16, temperature=1.0, stop=("\n",)),
        mood="sad",
        choices=("yes", "no"),
        from_="dev",
        play_=True,
        weight=2.0,
        shots=(Shots(n=1), Shots("a")),
        strict=True,
    )
    assert isinstance(suite, Essay)
    assert isinstance(suite.decoding.temperature, float)


def test_documents_and_options_are_what_was_written_as_json(project: Project) -> None:
    project.write("weights/w.bin", "w")
    text = RUN.replace(":Echo}", ":Echo, path: weights/w.bin, source: path:weights}")
    run = project.run(text + "name: night\nseeds: [1, 2]\n")
    model = run.cells[0].models["echo"]
    assert model.options == {"backend": f"{HERE}:Echo", "path": "weights/w.bin", "source": "path:weights"}
    assert isinstance(model.backend, Echo)
    assert model.backend.path == project.root / "weights" / "w.bin"
    assert model.backend.source == f"path:{project.root / 'weights'}"
    document = json.loads(json.dumps(run.document))
    assert document["name"] == "night"
    assert document["seeds"] == [1, 2]
    assert document["tasks"] == [run.cells[0].tasks[0].document]
    assert document["tasks"][0]["data"] == {"format": f"{HERE}:Lines", "path": "data/a.txt"}


def test_paths_inside_mappings_and_lists_are_found_too(project: Project) -> None:
    project.write("stored/a.jsonl", "")
    run = project.run(RUN.replace(":Echo}", ":Echo, path: {summaries: stored/a.jsonl}}"))
    backend = run.cells[0].models["echo"].backend
    assert isinstance(backend, Echo)
    assert backend.path == {"summaries": project.root / "stored" / "a.jsonl"}


def test_a_file_beside_comes_before_one_under_the_project_root(project: Project) -> None:
    project.write("data/a.txt", "root")
    assert project.run().cells[0].tasks[0].source.path == project.root / "tasks" / "data" / "a.txt"
    (project.root / "tasks" / "data" / "a.txt").unlink()
    assert project.run().cells[0].tasks[0].source.path == project.root / "data" / "a.txt"


@pytest.mark.parametrize("suffix", ["jsonl", "jsonl.gz", "csv", "parquet"])
def test_the_format_follows_from_the_suffix(project: Project, suffix: str) -> None:
    project.write(f"tasks/data/a.{suffix}", "")
    project.write("tasks/a.yaml", task_with(data=f"{{path: data/a.{suffix}}}"))
    source = project.run().cells[0].tasks[0].source
    assert source.name == suffix.removesuffix(".gz")
    assert source.path == project.root / "tasks" / "data" / f"a.{suffix}"


def test_a_prompt_may_stand_in_a_file(project: Project) -> None:
    project.write("tasks/prompts/p.yaml", 'text: "From {{ file }}"')
    project.write("tasks/a.yaml", task_with(prompt="prompts/p.yaml"))
    task = project.run().cells[0].tasks[0]
    assert task.suite == Essay(prompt=PromptTemplate(text="From {{ file }}"))
    assert task.document["prompt"] == {"text": "From {{ file }}"}
    changed = project.run(RUN, "tasks.summaries.prompt.delimiter=x").cells[0].tasks[0]
    assert changed.suite == Essay(prompt=PromptTemplate(text="From {{ file }}", delimiter="x"))


def test_the_primary_metric_may_be_written_another_way(project: Project) -> None:
    project.write("tasks/a.yaml", task_with(metrics='["recall@k(k=10)", "f1(average=macro)"]', primary="macro_f1"))
    project.write("tasks/a.yaml", task_with(metrics='["recall@10", "rouge(type=2)"]', primary="rouge_2"))
    task = project.run().cells[0].tasks[0]
    assert task.primary is task.metrics[1]


def test_include_merges_beneath_and_the_last_wins(project: Project) -> None:
    echo = f"{{backend: {HERE}:Echo, dtype: a, batch: 2}}"
    project.write("configs/base/a.yaml", f"models: {{echo: {echo}}}\nseeds: [1, 2]\nlevel: 0.9\n")
    project.write("configs/base/b.yaml", "include: a.yaml\nmodels: {echo: {dtype: b}}\n")
    project.write("configs/c.yaml", "level: 0.8\nmax_missing: 0.5\n")
    run = project.run("include: [base/b.yaml, c.yaml]\nseeds: [3]\ntasks: [tasks/a.yaml]\n")
    assert run.cells[0].models["echo"].backend == Echo(dtype="b", batch=2)
    assert (run.seeds, run.level, run.max_missing) == ((3,), 0.8, 0.5)
    assert "include" not in run.document


def test_use_overrides_keys_of_the_task(project: Project) -> None:
    entry = "{use: tasks/a.yaml, task: short, limit: 5, metrics: [bleu], models: [echo], prompt: {delimiter: x}}"
    first, second = project.run(RUN.replace("[tasks/a.yaml]", f"[tasks/a.yaml, {entry}]")).cells[0].tasks
    assert (first.name, first.limit, first.metric_specs) == ("summaries", None, ("exact_match", "bleu"))
    assert (second.name, second.limit, second.metric_specs, second.models) == ("short", 5, ("bleu",), ("echo",))
    assert second.suite == Essay(prompt=PromptTemplate(text="Say {{ x }}", delimiter="x"))


def test_a_glob_takes_the_files_in_order(project: Project) -> None:
    for name in ("c", "b"):
        project.write(f"tasks/{name}.yaml", TASK.replace("summaries", name))
    tasks = project.run(RUN.replace("[tasks/a.yaml]", "['tasks/*.yaml']")).cells[0].tasks
    assert [task.name for task in tasks] == ["summaries", "b", "c"]


def test_set_changes_the_run_its_models_and_single_tasks(project: Project) -> None:
    project.write("tasks/b.yaml", TASK.replace("summaries", "v1.5"))
    text = RUN.replace("echo:", "echo-1.5:").replace("[tasks/a.yaml]", "[tasks/a.yaml, tasks/b.yaml]")
    of_run = ["models.echo-1.5.dtype=float16", "limit=9", "seeds=[4, 5]", "name="]
    run = project.run(text, *of_run, "tasks.v1.5.limit=5", "tasks.v1.5.decoding.top_p=0.5")
    assert run.cells[0].models["echo-1.5"].backend == Echo(dtype="float16")
    assert run.cells[0].models["echo-1.5"].options["dtype"] == "float16"
    assert [(task.name, task.limit) for task in run.cells[0].tasks] == [("summaries", 9), ("v1.5", 5)]
    assert run.cells[0].tasks[1].suite.decoding == Decoding(max_tokens=16, top_p=0.5)  # type: ignore[attr-defined]
    assert run.cells[0].tasks[1].document["limit"] == 5
    assert (run.seeds, run.name) == ((4, 5), "run")


def test_the_gate_is_checked_and_its_defaults_filled_in(project: Project) -> None:
    gate = "gate: {baseline: main, rules: [{max_drop: 2%}, {task: summ*, metric: bleu, min_value: 20}]}\n"
    assert project.run(RUN + gate).gate == {
        "baseline": "main",
        "rules": [
            {"metric": "*", "task": "*", "model": "*", "slice": None, "drift": None, "max_drop": "2%", "min_value": None,
             "max_value": None},
            {"metric": "bleu", "task": "summ*", "model": "*", "slice": None, "drift": None, "max_drop": None,
             "min_value": 20.0, "max_value": None},
        ],
        "alpha": 0.05,
        "correction": "holm",
        "on_inconclusive": None,
        "max_missing": None,
        "sequential": False,
        "notify": None,
    }


def test_slugs_are_safe_names_and_keep_other_scripts() -> None:
    assert [slug(name) for name in ("a b/c", "Fragen & Antworten", "要約", "..", "v1.5_x")] == [
        "a-b-c", "Fragen-Antworten", "要約", "task", "v1.5_x"
    ]  # fmt: skip


# ── the matrix ──────────────────────────────────────────────────────────────────────────────────────────────────────


def test_a_matrix_gives_the_product_in_order_and_shares_what_it_does_not_touch(project: Project) -> None:
    project.write("prompts/a.yaml", "text: A")
    project.write("prompts/b.yaml", "text: B")
    data = f"data: {{format: {HERE}:Lines, path: data/a.txt}}"
    project.write("tasks/b.yaml", f"task: look\nsuite: {HERE}:Lookup\n{data}\nmetrics: [bleu]\n")
    text = RUN.replace("[tasks/a.yaml]", "[tasks/a.yaml, tasks/b.yaml]")
    run = project.run(text + "matrix: {decoding.temperature: [0, 0.7], prompt: [prompts/a.yaml, prompts/b.yaml]}\n")
    assert [dict(cell.axes) for cell in run.cells] == [
        {"decoding.temperature": 0, "prompt": "a"},
        {"decoding.temperature": 0, "prompt": "b"},
        {"decoding.temperature": 0.7, "prompt": "a"},
        {"decoding.temperature": 0.7, "prompt": "b"},
    ]
    suites = [cell.tasks[0].suite for cell in run.cells]
    assert suites[1] == Essay(prompt=PromptTemplate(text="B"), decoding=Decoding(max_tokens=16, temperature=0.0))
    assert suites[2] == Essay(prompt=PromptTemplate(text="A"), decoding=Decoding(max_tokens=16, temperature=0.7))
    assert run.cells[3].tasks[0].document["prompt"] == {"text": "B"}
    assert all(cell.tasks[1] is run.cells[0].tasks[1] for cell in run.cells)
    assert all(cell.models["echo"] is run.cells[0].models["echo"] for cell in run.cells)
    assert run.document["matrix"]["prompt"] == ["prompts/a.yaml", "prompts/b.yaml"]


@pytest.mark.parametrize(
    ("axis", "changed"),
    [("model.batch", ["echo", "two"]), ("models.two.batch", ["two"]), ("models.two.backend", ["two"])],
)
def test_axes_of_models(project: Project, axis: str, changed: list[str]) -> None:
    values = [f"{HERE}:Echo", f"{HERE}:Lookup"] if axis.endswith("backend") else [1, 2]
    text = RUN.replace("tasks:", f"  two: {{backend: {HERE}:Echo}}\ntasks:")
    first, second = project.run(f"{text}matrix: {{{axis}: {json.dumps(values)}}}\n").cells
    assert [name for name in first.models if first.models[name].options != second.models[name].options] == changed
    assert [name for name in first.models if first.models[name].backend != second.models[name].backend] == changed


def test_axes_of_one_task(project: Project) -> None:
    project.write("tasks/b.yaml", TASK.replace("summaries", "other"))
    text = RUN.replace("[tasks/a.yaml]", "[tasks/a.yaml, tasks/b.yaml]")
    cells = project.run(text + "matrix: {tasks.other.limit: [1, 2], tasks.other.prompt.delimiter: [x, y]}\n").cells
    assert [cell.tasks[1].limit for cell in cells] == [1, 1, 2, 2]
    assert [cell.tasks[1].suite.prompt.delimiter for cell in cells] == ["x", "y", "x", "y"]  # type: ignore[attr-defined]
    assert {cell.tasks[0].limit for cell in cells} == {None}


@pytest.mark.parametrize(
    ("matrix", "fault"),
    [
        ("{depth: [1]}", "5:10: the axis 'depth' touches nothing: no suite of this run has the key 'depth'; known: choices, "
         "decoding, from, k, mood, play, prompt, shots, strict, weight"),
        ("{mod: [glad]}", "5:10: the axis 'mod' touches nothing: no suite of this run has the key 'mod'; did you mean 'mood'?"),
        ("{model.btch: [1]}", "5:10: the axis 'model.btch' touches nothing: no backend of this run has the key 'btch'; "
         "did you mean 'batch'?"),
        ("{temperature: [0, 1]}", "5:10: the axis 'temperature' touches nothing: no suite of this run has the key "
         "'temperature'; did you mean 'decoding.temperature'?"),
        ("{max_token: [8]}", "5:10: the axis 'max_token' touches nothing: no suite of this run has the key 'max_token'; "
         "did you mean 'decoding.max_tokens'?"),
        ("{shot: [1]}", "5:10: the axis 'shot' touches nothing: no suite of this run has the key 'shot'; "
         "did you mean 'shots'?"),
        ("{models.eco.batch: [1]}", "5:10: unknown model 'eco'; did you mean 'echo'?"),
        ("{tasks.summary.limit: [1]}", "5:10: unknown task 'summary'; did you mean 'summaries'?"),
        ("{models.echo: [1]}", "5:10: expected models.NAME.KEY, got 'models.echo'"),
        ("{mood: []}", "5:16: expected a list of at least one value, got an empty list"),
        ("{mood: glad}", "5:16: expected a list of at least one value, got 'glad'"),
        ("{mood: [glad, bad]}", "5:23: expected one of 'glad', 'sad', got 'bad'"),
        ("{mood: [glad, glad]}", "5:23: duplicate value 'glad' of the axis 'mood'"),
        ("{decoding.temprature: [1]}", "5:10: unknown key 'temprature'; did you mean 'temperature'?"),
        ("{mood.deep: [1]}", "5:22: expected one of 'glad', 'sad', got a mapping"),
        ("{prompt: [prompts/no.yaml]}", "5:19: prompt: 'prompts/no.yaml' does not exist: looked at configs/prompts/no.yaml "
         "and at prompts/no.yaml"),
    ],
)  # fmt: skip
def test_faults_of_the_matrix(project: Project, matrix: str, fault: str) -> None:
    assert project.faults(RUN + f"\nmatrix: {matrix}\n") == [f"configs/run.yaml:{fault}"]


def test_the_largest_integers_are_taken(project: Project) -> None:
    run = project.run(RUN.replace(":Echo}", ":Echo, batch: -9223372036854775808}") + "seeds: [9223372036854775807]\n")
    assert run.seeds == (2**63 - 1,)
    assert run.cells[0].models["echo"].options["batch"] == -(2**63)


# ── faults ──────────────────────────────────────────────────────────────────────────────────────────────────────────

TASK_FAULTS: Mapping[str, tuple[dict[str, str], str]] = {
    "misspelt key": ({"metrcs": "[bleu]"}, "7:1: unknown key 'metrcs'; did you mean 'metrics'?"),
    "key of no suite": ({"zzz": "1"}, "7:1: unknown key 'zzz'; known: choices, data, decoding, from, k, language, limit, "
                        "metrics, models, mood, play, primary, prompt, sample, shots, strict, …"),
    "hidden field": ({"_hidden": "1"}, "7:1: unknown key '_hidden'; known: choices, data, decoding, from, k, language, limit, "
                     "metrics, models, mood, play, primary, prompt, sample, shots, strict, …"),
    "nested misspelt key": ({"decoding": "{temprature: 0}"}, "7:12: unknown key 'temprature'; did you mean 'temperature'?"),
    "twice nested": ({"prompt": "{text: x, shots: {form: dev}}"}, "5:27: unknown key 'form'; did you mean 'from'?"),
    "seed of shots": ({"shots": "[{n: 1, seed: -1}]"}, "7:22: expected an integer ≥ 0, got -1"),
    "literal of another type": ({"mood": "[glad]"}, "7:7: expected one of 'glad', 'sad', got a list"),
    "literal null": ({"mood": ""}, "7:6: expected one of 'glad', 'sad', got null"),
    "union's literal": ({"weight": "automatic"}, "7:9: expected a number or 'auto', got 'automatic'"),
    "choices twice": ({"suite": "classification", "choices": "[a, b, a]"}, "7:10: choices must be different from one another"),
    "huge k": ({"k": "99999999999999999999999"}, "7:4: an integer beyond 64 bits"),
    "in a list": ({"shots": "[{n: 1}, {m: 1}]"}, "7:18: unknown key 'm'; known: from, n, seed"),
    "text for a count": ({"limit": "ten"}, "7:8: expected an integer ≥ 1, got 'ten'"),
    "zero": ({"limit": "0"}, "7:8: expected an integer ≥ 1, got 0"),
    "bool is no int": ({"limit": "true"}, "7:8: expected an integer ≥ 1, got true"),
    "float is no int": ({"limit": "1.0"}, "7:8: expected an integer ≥ 1, got 1.0"),
    "suite's int": ({"k": "ten"}, "7:4: expected an integer, got 'ten'"),
    "text is no number": ({"decoding": "{temperature: '0.7'}"}, "7:25: expected a number, got '0.7'"),
    "bool is no number": ({"decoding": "{temperature: true}"}, "7:25: expected a number, got true"),
    "number is no text": ({"language": "5"}, "7:11: expected a string, got 5"),
    "null is no text": ({"language": ""}, "7:10: expected a string, got null"),
    "yes is no bool": ({"strict": "yes"}, "7:9: expected true or false, got 'yes'"),
    "literal": ({"mood": "bad"}, "7:7: expected one of 'glad', 'sad', got 'bad'"),
    "union": ({"weight": "[1]"}, "7:9: expected a number or 'auto', got a list"),
    "text for a list": ({"choices": "yes"}, "7:10: expected a list of strings, got 'yes'"),
    "item of a list": ({"choices": "[yes, true]"}, "7:16: expected a string, got true"),
    "list for a mapping": ({"decoding": "[1]"}, "7:11: expected a mapping, got a list"),
    "mapping for text": ({"language": "{}"}, "7:11: expected a string, got an empty mapping"),
    "long text": ({"limit": "x" * 99}, f"7:8: expected an integer ≥ 1, got '{'x' * 58}…"),
    "name": ({"task": '"a\\tb"'}, "1:7: expected a name of printable characters, got 'a\\tb'"),
    "no metrics": ({"metrics": "[]"}, "6:10: expected a list of at least one string, got an empty list"),
    "metrics as text": ({"metrics": "bleu"}, "6:10: expected a list of at least one string, got 'bleu'"),
    "unknown metric": ({"metrics": "[bleu, bluu]"}, "6:17: unknown metric 'bluu'; did you mean 'bleu'?"),
    "metric's syntax": ({"metrics": "[bleu, 'rouge(type=2']"}, "6:17: 'rouge(type=2': expected ',' or ')'"),
    "metric's value": ({"metrics": "[rouge(type=x)]"},
     "6:11: rouge: type must be one of 1, 2, 3, 4, 5, 6, 7, 8, 9, L, Lsum, S, SU, W, got 'x'"),
    "metric twice": ({"metrics": "[rouge_l, rouge(type=L)]"}, "6:20: duplicate metric 'rouge(type=L)'"),
    "primary": ({"primary": "blue"}, "7:10: primary 'blue' is not among the metrics; did you mean 'bleu'?"),
    "other primary": ({"primary": "chrf"}, "7:10: primary 'chrf' is not among the metrics; known: bleu, exact_match"),
    "unknown suite": ({"suite": "generaton"}, "2:8: unknown suite 'generaton'; did you mean 'generation'?"),
    "suite's module": ({"suite": "no.such:Suite"},
     "2:8: suite 'no.such:Suite' cannot be imported: ModuleNotFoundError: No module named 'no'"),
    "suite no dataclass": ({"suite": "fractions:Fraction"}, "2:8: fractions:Fraction is not a dataclass"),
    "suite refuses": ({"k": "0"}, "7:4: k must be a positive integer, got 0"),
    "nested refuses": ({"prompt": "{text: x, user: y}"},
     "5:16: prompt: give exactly one of text, user, messages; got text and user"),
    "unknown format": ({"data": "{format: jsnl, path: data/a.txt}"}, "3:16: unknown format 'jsnl'; did you mean 'jsonl'?"),
    "no format": ({"data": "{split: test}"}, "3:7: missing required key 'format'"),
    "format's key": ({"data": f"{{format: {HERE}:Lines, path: data/a.txt, splt: x}}"},
     "3:59: unknown key 'splt'; did you mean 'split'?"),
    "no path": ({"data": f"{{format: {HERE}:Lines}}"}, "3:7: missing required key 'path'"),
    "missing file": ({"data": f"{{format: {HERE}:Lines, path: data/b.txt}}"}, "3:47: path: 'data/b.txt' does not exist: "
                     "looked at tasks/data/b.txt and at data/b.txt"),
    "missing split": ({"data": f"{{format: {HERE}:Lines, path: data/a.txt, splits: {{train: t.txt}}}}"},
                      "3:75: splits.train: 't.txt' does not exist: looked at tasks/t.txt and at t.txt"),
    "missing prompt": ({"prompt": "p.yaml"}, "5:9: prompt: 'p.yaml' does not exist: looked at tasks/p.yaml and at p.yaml"),
    "prompt in a folder": ({"prompt": "data"}, "5:9: prompt: 'data' is a folder; expected a YAML file"),
    "prompt as text": ({"prompt": '"Say {{ x }}"'}, "5:9: expected a mapping or the path of a YAML file, got 'Say {{ x }}'"),
    "prompt as long text": ({"prompt": "x" * 5000}, f"5:9: expected a mapping or the path of a YAML file, got '{'x' * 58}…"),
    "sample's key": ({"sample": "{zzz: x}"}, "4:10: unknown key 'zzz'; known: choices, contexts, group, id, input, qrels, "
                     "references, slices, target"),
    "data as text": ({"data": "a.txt"}, "3:7: expected a mapping, got 'a.txt'"),
}  # fmt: skip


@pytest.mark.parametrize("kind", TASK_FAULTS)
def test_faults_of_a_task(project: Project, kind: str) -> None:
    keys, fault = TASK_FAULTS[kind]
    found = project.task_faults(task_with(**keys))
    assert found == [f"tasks/a.yaml:{fault}"]


def test_template_syntax_is_checked_at_its_place(project: Project) -> None:
    text = task_with(sample='{slices: {a: "{{ b | }}"}}', prompt='{system: "{% if %}", user: x}', decoding='{stop: ["{{"]}')
    first, second = project.task_faults(text)
    assert first.startswith("tasks/a.yaml:4:22: template '{{ b | }}': line 1: ")
    assert second == "tasks/a.yaml:5:18: template '{% if %}': line 1: Expected an expression, got 'end of statement block'"


def test_all_required_keys_are_told_at_once(project: Project) -> None:
    assert project.task_faults("language: de\nlimt: 3\n") == [
        "tasks/a.yaml:1:1: missing required key 'data'",
        "tasks/a.yaml:1:1: missing required key 'metrics'",
        "tasks/a.yaml:1:1: missing required key 'suite'",
        "tasks/a.yaml:1:1: missing required key 'task'",
        "tasks/a.yaml:2:1: unknown key 'limt'; did you mean 'limit'?",
    ]


RUN_FAULTS: Mapping[str, tuple[str, str]] = {
    "misspelt key": (RUN + "seed: [1]\n", "4:1: unknown key 'seed'; did you mean 'seeds'?"),
    "no seeds": (RUN + "seeds: []\n", "4:8: expected a list of at least one integer, got an empty list"),
    "seed twice": (RUN + "seeds: [1, 1]\n", "4:8: the values must be different from one another"),
    "one seed": (RUN + "seeds: 3\n", "4:8: expected a list of at least one integer, got 3"),
    "negative seed": (RUN + "seeds: [0, -1]\n", "4:12: expected an integer ≥ 0, got -1"),
    "percent as level": (RUN + "level: 95\n", "4:8: expected a number > 0 and < 1, got 95"),
    "share": (RUN + "max_missing: 1.5\n", "4:14: expected a number from 0 to 1, got 1.5"),
    "replicates": (RUN + "n_bootstrap: 1e3\n", "4:14: expected an integer from 1 to 1,000,000, got 1000.0"),
    "too many replicates": (RUN + "n_bootstrap: 1000001\n",
     "4:14: expected an integer from 1 to 1,000,000, got 1000001"),
    "no budget": (RUN + "budget: {}\n", "4:9: a budget needs max_cost, max_tokens or max_seconds"),
    "free of charge": (RUN + "budget: {max_cost: 0}\n", "4:20: expected a number > 0, got 0"),
    "no replicates": (RUN + "n_bootstrap: 0\n", "4:14: expected an integer from 1 to 1,000,000, got 0"),
    "key of no run": (RUN + "zzz: 1\n", "4:1: unknown key 'zzz'; known: budget, cache, gate, include, level, limit, matrix, "
                      "max_missing, models, n_bootstrap, name, roles, scoring, seeds, tasks"),
    "nearly include": (RUN + "inclde: x.yaml\n", "4:1: unknown key 'inclde'; did you mean 'include'?"),
    "huge limit": (RUN + "limit: 99999999999999999999999\n", "4:8: an integer beyond 64 bits"),
    "huge seed": (RUN + "seeds: [0, 0x8000000000000000]\n", "4:12: an integer beyond 64 bits"),
    "huge option": (RUN.replace(":Echo}", ":Echo, batch: -9223372036854775809}"), "2:50: an integer beyond 64 bits"),
    "cache": (RUN + "cache: {version: 3}\n", "4:18: expected a string, got 3"),
    "gate's key": (RUN + "gate: {ruels: [], rules: [{max_drop: 0}]}\n", "4:8: unknown key 'ruels'; did you mean 'rules'?"),
    "rule's key": (RUN + "gate: {rules: [{max_drop: 0, maxdrop: 1}]}\n",
     "4:30: unknown key 'maxdrop'; did you mean 'max_drop'?"),
    "drop": (RUN + "gate: {rules: [{max_drop: 2 %}]}\n", "4:27: expected a number ≥ 0 or a percentage such as '2%', got '2 %'"),
    "negative drop": (RUN + "gate: {rules: [{max_drop: -1}]}\n",
     "4:27: expected a number ≥ 0 or a percentage such as '2%', got -1"),
    "empty rule": (RUN + "gate: {rules: [{metric: bleu}]}\n", "4:16: a rule needs max_drop, min_value or max_value"),
    "rules": (RUN + "gate: {rules: []}\n", "4:15: expected a list of at least one rule, got an empty list"),
    "rule's task": (RUN + "gate: {rules: [{task: sumaries, max_drop: 0}]}\n",
     "4:23: no task matches 'sumaries'; did you mean 'summaries'?"),
    "rule's metric": (RUN + "gate: {rules: [{metric: blue, max_drop: 0}]}\n",
     "4:25: no metric of the tasks matches 'blue'; did you mean 'bleu'?"),
    "rule's model": (RUN + "gate: {rules: [{model: two, max_drop: 0}]}\n", "4:24: no model matches 'two'; known: echo"),
    "rule's slice": (RUN + "gate: {rules: [{slice: topic, max_drop: 0}]}\n",
     "4:24: a slice is written name=value, with wildcards, got 'topic'"),
    "undeclared slice": (RUN + "gate: {rules: [{slice: 'topic=*', max_drop: 0}]}\n", "4:24: no task declares a slice 'topic'"),
    "drop of drift": (RUN + "gate: {rules: [{drift: js_tokens, max_drop: 0.1}]}\n",
     "4:24: a rule on drift has max_value and no other limit"),
    "metric of drift": (RUN + "gate: {rules: [{drift: js_tokens, metric: bleu, max_value: 0.1}]}\n",
     "4:24: a rule on drift is for a task and a model, not for a metric or a slice"),
    "notify's address": (RUN + "gate: {notify: {url: example.org}, rules: [{max_drop: 0}]}\n",
     "4:22: notify: the url must begin with http:// or https://"),
    "notify's occasion": (RUN + "gate: {notify: {url: 'https://example.org', on: [worse]}, rules: [{max_drop: 0}]}\n",
     "4:50: expected one of 'regressed', 'inconclusive', 'infrastructure', 'passed', got 'worse'"),
    "correction": (RUN + "gate: {correction: x, rules: [{max_drop: 0}]}\n",
     "4:20: expected one of 'holm', 'bh', 'by', 'none', got 'x'"),
    "unknown backend": (RUN.replace(f"{HERE}:Echo", "trnsformers"),
     "2:19: unknown backend 'trnsformers'; did you mean 'transformers'?"),
    "no backend": (RUN.replace("backend", "back"), "2:9: missing required key 'backend'"),
    "model as text": (RUN.replace(f"{{backend: {HERE}:Echo}}", "x"), "2:9: expected a mapping, got 'x'"),
    "model's key": (RUN.replace(":Echo}", ":Echo, dtpe: x}"), "2:43: unknown key 'dtpe'; did you mean 'dtype'?"),
    "no models": (RUN.replace(f"  echo: {{backend: {HERE}:Echo}}", "  {}"),
     "2:3: expected a mapping with at least one entry, got an empty mapping"),
    "model twice": (RUN.replace("tasks:", "  echo: {}\ntasks:"), "3:3: duplicate key 'echo'; the first is on line 2"),
    "missing source": (RUN.replace(":Echo}", ":Echo, source: path:w}"),
     "2:51: source: 'w' does not exist: looked at configs/w and at w"),
    "role": (RUN + f"roles: {{judge: {{backend: {HERE}:Echo, bach: 1}}}}\n", "4:50: unknown key 'bach'; did you mean 'batch'?"),
    "missing task": (RUN.replace("tasks/a", "tasks/b"),
     "3:9: tasks: 'tasks/b.yaml' does not exist: looked at configs/tasks/b.yaml "
                     "and at tasks/b.yaml"),
    "missing used task": (RUN.replace("tasks/a.yaml", "{use: x.yaml}"),
     "3:15: use: 'x.yaml' does not exist: looked at configs/x.yaml "
                          "and at x.yaml"),
    "task is a folder": (RUN.replace("tasks/a.yaml", "tasks"), "3:9: tasks: 'tasks' is a folder; expected a YAML file"),
    "no glob": (RUN.replace("tasks/a.yaml", "tasks/x*.yaml"), "3:9: tasks: 'tasks/x*.yaml' matches no file: looked at "
                "configs/tasks/x*.yaml and at tasks/x*.yaml"),
    "task as number": (RUN.replace("tasks/a.yaml", "5"), "3:9: expected the path of a task file, got 5"),
    "entry without use": (RUN.replace("tasks/a.yaml", "{limit: 5}"), "3:9: missing required key 'use'"),
    "key of an entry": (RUN.replace("tasks/a.yaml", "{use: tasks/a.yaml, limt: 5}"),
     "3:29: unknown key 'limt'; did you mean 'limit'?"),
    "task twice": (RUN.replace("tasks/a.yaml", "tasks/a.yaml, tasks/a.yaml"),
     "3:23: duplicate task 'summaries' in tasks/a.yaml; "
                   "the first is in tasks/a.yaml; give one another name with `task:`"),
    "same folder": (RUN.replace("tasks/a.yaml", "{use: tasks/a.yaml, task: a b}, {use: tasks/a.yaml, task: A/B}"),
                    "3:47: task 'A/B' has the folder name of task 'a b': a-b"),
    "task's model": (RUN.replace("tasks/a.yaml", "{use: tasks/a.yaml, models: [echo, eco]}"),
     "3:44: unknown model 'eco'; did you mean 'echo'?"),
    "missing include": ("include: base.yaml\n" + RUN,
     "1:10: include: 'base.yaml' does not exist: looked at configs/base.yaml and at base.yaml"),
    "include as number": ("include: [3]\n" + RUN, "1:11: expected a path or a list of paths, got 3"),
    "include itself": ("include: run.yaml\n" + RUN,
     "1:10: include: 'run.yaml' includes itself: configs/run.yaml → configs/run.yaml"),
    "syntax": ("models: [", "2:1: not valid YAML: while parsing a flow node: did not find expected node content"),
    "a list": ("- a\n", "1:1: expected a mapping, got a list"),
}  # fmt: skip


@pytest.mark.parametrize("kind", RUN_FAULTS)
def test_faults_of_a_run(project: Project, kind: str) -> None:
    text, fault = RUN_FAULTS[kind]
    assert project.faults(text) == [f"configs/run.yaml:{fault}"]


@pytest.mark.parametrize(
    ("override", "fault"),
    [
        ("limit=ten", "--set limit: expected an integer ≥ 1, got 'ten'"),
        ("limt=5", "--set limt: unknown key 'limt'; did you mean 'limit'?"),
        ("limit", "--set: expected KEY=VALUE, got 'limit'"),
        ("=5", "--set: expected KEY=VALUE, got '=5'"),
        ("models..x=5", "--set: expected KEY=VALUE, got 'models..x=5'"),
        ("limit=[", "--set limit: not valid YAML: while parsing a flow node: did not find expected node content"),
        ("models.eco.batch=5", "--set models.eco.batch: unknown model 'eco'; did you mean 'echo'?"),
        ("models.echo.bach=5", "--set models.echo.bach: unknown key 'bach'; did you mean 'batch'?"),
        ("models.echo.batch=x", "--set models.echo.batch: expected an integer, got 'x'"),
        ("tasks.summary.limit=5", "--set tasks.summary.limit: unknown task 'summary'; did you mean 'summaries'?"),
        ("tasks.zz.limit=1", "--set tasks.zz.limit: unknown task 'zz'; known: summaries"),
        ("limit=9223372036854775808", "--set limit: an integer beyond 64 bits"),
        ("tasks.summaries=5", "--set tasks.summaries: expected tasks.NAME.KEY"),
        ("tasks.summaries.task.x=5",
         "--set tasks.summaries.task.x: 'task.x' cannot be set: what it leads through is not a mapping"),
        ("tasks.summaries.data.path=no.txt",
         "--set tasks.summaries.data.path: path: 'no.txt' does not exist: looked at no.txt"),
        ("matrix.mod=[glad]",
         "--set matrix.mod: the axis 'mod' touches nothing: no suite of this run has the key 'mod'; did you mean 'mood'?"),
    ],
)
def test_faults_of_overrides_name_the_override(project: Project, override: str, fault: str) -> None:
    assert project.faults(RUN, override) == [fault]


def test_all_faults_of_all_files_are_told_at_once_in_order(project: Project) -> None:
    project.write("configs/base.yaml", f"models: {{echo: {{backend: {HERE}:Echo, batch: many}}}}\n")
    project.write("tasks/a.yaml", task_with(limit="0", metrics="[bleu, bluu]"))
    project.write("tasks/b.yaml", "task: b\ntask: c\n")
    assert project.faults("include: base.yaml\ntasks: [tasks/a.yaml, tasks/b.yaml]\nseeds: []\n", "level=2") == [
        "--set level: expected a number > 0 and < 1, got 2",
        "configs/base.yaml:1:57: expected an integer, got 'many'",
        "configs/run.yaml:3:8: expected a list of at least one integer, got an empty list",
        "tasks/a.yaml:6:17: unknown metric 'bluu'; did you mean 'bleu'?",
        "tasks/a.yaml:7:8: expected an integer ≥ 1, got 0",
        "tasks/b.yaml:1:1: missing required key 'data'",
        "tasks/b.yaml:1:1: missing required key 'metrics'",
        "tasks/b.yaml:1:1: missing required key 'suite'",
        "tasks/b.yaml:2:1: duplicate key 'task'; the first is on line 1",
    ]


def test_files_that_include_each_other(project: Project) -> None:
    project.write("configs/a.yaml", "include: b.yaml\n")
    project.write("configs/b.yaml", "level: 0.9\ninclude: a.yaml\n")
    fault = "configs/b.yaml:2:10: include: 'a.yaml' includes itself: configs/a.yaml → configs/b.yaml → configs/a.yaml"
    assert project.faults("include: a.yaml\n" + RUN) == [fault]


_WORDS = ("echo", "summaries", "tasks/a.yaml", "data/a.txt", "../*", "{{ x", "bleu", f"{HERE}:Essay", "path:", ":", "")
_OTHER_KEYS = ("use", "include", "backend", "path", "format", "text", "")
_KEYS = st.sampled_from((*TaskDocument.model_fields, *RunDocument.model_fields, *keys_of(Essay), *_OTHER_KEYS))
_NUMBERS = st.integers(-2, 2) | st.floats(allow_nan=False, allow_infinity=False)
_SCALARS = st.none() | st.booleans() | _NUMBERS | st.sampled_from(_WORDS)
_VALUES = st.recursive(_SCALARS, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(_KEYS, inner, max_size=3))
_AXES = st.sampled_from(("model.batch", "mood", "prompt", "tasks.summaries.data", "models.echo.path", "decoding.stop"))
_PLACE = re.compile(r"(--set [\w.]+|(tasks/a|configs/run|tasks/data/a)\.\w+(:\d+:\d+)?): \S.*")


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(
    st.dictionaries(_KEYS, _VALUES, max_size=2),
    st.dictionaries(_KEYS, _VALUES, max_size=2),
    st.dictionaries(_AXES, st.lists(_VALUES, max_size=2), max_size=2),
)
def test_whatever_is_written_the_answer_is_a_config_or_its_faults(
    project: Project, task: dict[str, Any], run: dict[str, Any], matrix: dict[str, Any]
) -> None:
    project.write("tasks/a.yaml", json.dumps({**yaml.safe_load(TASK), **task}))
    faults: tuple[str, ...] = ()
    try:
        project.run(json.dumps({**yaml.safe_load(RUN), "matrix": matrix, **run}), "tasks.summaries.limit=1")
    except ConfigError as error:
        faults = error.problems
    assert [text for text in faults if not _PLACE.fullmatch(text)] == []


def test_a_config_that_is_not_there(project: Project) -> None:
    with pytest.raises(ConfigError, match=r"^none\.yaml: no such file$"):
        load_run("none.yaml")


# ── the schema ──────────────────────────────────────────────────────────────────────────────────────────────────────


def schema_faults(kind: str, text: str) -> list[str]:
    schema = json_schema(kind)
    jsonschema.Draft202012Validator.check_schema(schema)
    return [error.message for error in jsonschema.Draft202012Validator(schema).iter_errors(yaml.safe_load(text))]


SCHEMA_TASK = """\
task: intents
suite: classification
data: {path: data/a.jsonl}
sample: {target: "{{ label }}"}
prompt: {user: "{{ text }}", shots: {from: train, n: 2}}
choices: [a, b]
metrics: [accuracy, "f1(average=macro)"]
"""
SCHEMA_RUN = """\
include: base.yaml
models: {a: {backend: null-backend}}
roles: {encoder: {backend: "my.module:Encoder", anything: 1}}
tasks: [tasks/a.yaml, {use: tasks/b.yaml, limit: 5, k: 3}]
matrix: {decoding.temperature: [0, 0.7], models.a.dtype: [x]}
gate: {rules: [{metric: bleu, max_drop: 2%}]}
""".replace("null-backend", '"null"')


@pytest.mark.parametrize(
    ("change", "named"),
    [
        (("", ""), None),
        (("{path: data/a.jsonl}", "{format: csv, path: x, delimiter: ;}"), None),
        (("{user: ", "prompts/a.yaml #"), None),
        (("suite: classification", "suite: my.module:Suite\nanything: 1"), None),
        (("metrics:", "include: base.yaml #"), None),
        (("metrics", "metrcs"), "metrcs"),
        (("shots: {from", "shots: {form"), "form"),
        (("choices: [a, b]", "choices: yes"), "not of type 'array'"),
        (("choices:", "k: 3\nchoices:"), "'k' was unexpected"),
        (("{path: data/a.jsonl}", "{path: data/a.jsonl, pth: x}"), "pth"),
        (("{path: data/a.jsonl}", "{format: jsonl, path: data/a.jsonl, pth: x}"), "pth"),
        (("suite: classification", "suite: clasification"), "clasification"),
        (("suite: classification\n", ""), "suite"),
        (("sample: {target", "sample: {trgt"), "trgt"),
        (("choices:", "limit: 0\nchoices:"), "0 is not valid under any of the given schemas"),
    ],
)
def test_the_schema_of_tasks(change: tuple[str, str], named: str | None) -> None:
    found = schema_faults("task", SCHEMA_TASK.replace(*change) if change[0] else SCHEMA_TASK)
    assert bool(found) == (named is not None)
    assert named is None or any(named in text for text in found)


@pytest.mark.parametrize(
    ("change", "named"),
    [
        (("", ""), None),
        (("models:", "modles:"), "modles"),
        (('{backend: "null"}', '{backend: "null", latncy_s: 1}'), "latncy_s"),
        (('{backend: "null"}', "{}"), "'backend' is a required property"),
        (("{use: tasks/b.yaml, limit: 5", "{use: tasks/b.yaml, limt: 5"), "limt"),
        (("{use: tasks/b.yaml, ", "{"), "is not valid under any of the given schemas"),
        (("max_drop: 2%", "max_drp: 2%"), "max_drp"),
        (("max_drop: 2%", "max_drop: two"), "'max_drop': 'two'}]} is not valid under any of the given schemas"),
        (("[0, 0.7]", "[]"), "[] should be non-empty"),
        (("include: base.yaml\n", "seeds: []\n"), "[] should be non-empty"),
        (("include: base.yaml\nmodels", "roles"), "'models' is a required property"),
    ],
)
def test_the_schema_of_runs(change: tuple[str, str], named: str | None) -> None:
    found = schema_faults("run", SCHEMA_RUN.replace(*change) if change[0] else SCHEMA_RUN)
    assert bool(found) == (named is not None)
    assert named is None or any(named in text for text in found)


@pytest.mark.parametrize("kind", ["task", "run"])
def test_the_shipped_examples_fit_the_schema(project_root: Path, kind: str) -> None:
    files = sorted((project_root / f"{kind}s".replace("runs", "configs")).glob("*.yaml"))
    if not files:
        pytest.skip(f"no {kind} files are shipped")
    faults = {path.name: schema_faults(kind, path.read_text(encoding="utf-8")) for path in files}
    assert faults == {path.name: [] for path in files}


def test_the_schema_describes_keys_and_offers_metric_names() -> None:
    schema = json_schema("task")
    keys = schema["$defs"]["classification task"]["properties"]
    assert schema["$schema"] == "https://json-schema.org/draft/2020-12/schema"
    assert all("description" in keys[key] for key in keys)
    assert {"bleu", "recall@10", "macro_f1"} <= set(keys["metrics"]["items"]["examples"])
    assert "likelihood" in json.dumps(keys["answer"])


def test_another_kind_of_schema_is_refused() -> None:
    with pytest.raises(UsageError, match=r"^json_schema: kind must be 'task' or 'run', got 'gate'$"):
        json_schema("gate")
