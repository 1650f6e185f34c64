"""What a user gets who writes something wrong: exit code 2, a message that says where and what to do, nothing else.

What ``harness score`` is given is in ``test_score.py``.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.cli.projects import Harness, Said

TASK = """\
task: cities
suite: generation
data: {path: cities.jsonl}
sample: {references: ["{{ city }}"]}
prompt: {text: "{{ country }}:"}
metrics: [exact_match]
"""
RUN = """\
models:
  nobody: {backend: null}
tasks: [tasks/cities.yaml]
"""
DATA = '{"id": "1", "country": "Peru", "city": "Lima"}\n{"id": "2", "country": "Cuba", "city": "Havana"}\n'
CONFIG = "configs/a.yaml"


@pytest.fixture
def harness(capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Harness:
    """The command line in a project of one task, one model and two rows."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    Path("configs").mkdir()
    Path("tasks").mkdir()
    write()
    return Harness(capsys)


def write(run: str = RUN, task: str = TASK, data: str = DATA) -> None:
    Path(CONFIG).write_text(run, encoding="utf-8")
    Path("tasks/cities.yaml").write_text(task, encoding="utf-8")
    Path("tasks/cities.jsonl").write_text(data, encoding="utf-8")


def refusal(said: Said) -> list[str]:
    """The lines of a refusal, checked for what all refusals have in common."""
    assert "Traceback" not in said.err
    assert "defect" not in said.err
    return said.refusal


def test_the_project_itself_is_sound(harness: Harness) -> None:
    """Without a mistake in it the project runs: the refusals below are about the mistakes. ``null`` needs no quotes."""
    assert harness("validate", CONFIG).code == 0
    said = harness("run", CONFIG, "--json")
    assert said.code == 0, said.err
    (estimate,) = said.json["estimates"]
    assert (estimate["model"], estimate["value"], estimate["n"]) == ("nobody", 0.0, 2)


# ── configs and tasks ───────────────────────────────────────────────────────────────────────────────────────────────

RUN_FAULTS = {
    "misspelt key": (RUN.replace("tasks:", "taks:"), [
        "configs/a.yaml:1:1: missing required key 'tasks'",
        "configs/a.yaml:3:1: unknown key 'taks'; did you mean 'tasks'?",
    ]),
    "misspelt key of a model": (RUN.replace("null}", "null, txt: hello}"), [
        "configs/a.yaml:2:27: unknown key 'txt'; did you mean 'text'?",
    ]),
    "misspelt backend": (RUN.replace("null", "nul"), ["configs/a.yaml:2:21: unknown backend 'nul'; did you mean 'null'?"]),
    "no backend": (RUN.replace("backend: null", "text: hello"), ["configs/a.yaml:2:11: missing required key 'backend'"]),
    "wrong types": (RUN + "seeds: zero\nmax_missing: lots\nlimit: 0\n", [
        "configs/a.yaml:4:8: expected a list of at least one integer, got 'zero'",
        "configs/a.yaml:5:14: expected a number from 0 to 1, got 'lots'",
        "configs/a.yaml:6:8: expected an integer ≥ 1, got 0",
    ]),
    "duplicate key": (RUN + "seeds: [0]\nseeds: [1]\n", ["configs/a.yaml:5:1: duplicate key 'seeds'; the first is on line 4"]),
    "duplicate model": (RUN.replace("tasks:", "  nobody: {backend: bm25}\ntasks:"), [
        "configs/a.yaml:3:3: duplicate key 'nobody'; the first is on line 2",
    ]),
    "missing task file": (RUN.replace("cities", "citys"), [
        "configs/a.yaml:3:9: tasks: 'tasks/citys.yaml' does not exist: "
        "looked at configs/tasks/citys.yaml and at tasks/citys.yaml",
    ]),
    "missing answers": (RUN.replace("null", "replay, path: gone.jsonl"), [
        "configs/a.yaml:2:35: path: 'gone.jsonl' does not exist: looked at configs/gone.jsonl and at gone.jsonl",
    ]),
    "unknown metric in an override": (RUN.replace("[tasks/cities.yaml]", "[{use: tasks/cities.yaml, metrics: [blue]}]"), [
        "configs/a.yaml:3:44: unknown metric 'blue'; did you mean 'bleu'?",
    ]),
    "axis that touches nothing": (RUN + "matrix: {choices: [[a], [b]]}\n", [
        "configs/a.yaml:4:10: the axis 'choices' touches nothing: no suite of this run has the key 'choices'; "
        "known: decoding, extract, prompt, schema",
    ]),
    "misspelt axis": (RUN + "matrix: {decodng.temperature: [0, 1]}\n", [
        "configs/a.yaml:4:10: the axis 'decodng.temperature' touches nothing: no suite of this run has the key 'decodng'; "
        "did you mean 'decoding'?",
    ]),
    "misspelt end of an axis": (RUN + "matrix: {decoding.temprature: [0, 1]}\n", [
        "configs/a.yaml:4:10: unknown key 'temprature'; did you mean 'temperature'?",
    ]),
    "axis without values": (RUN + "matrix: {decoding.temperature: []}\n", [
        "configs/a.yaml:4:32: expected a list of at least one value, got an empty list",
    ]),
    "gate rule for nothing": (RUN + "gate: {rules: [{metric: blue, max_drop: 0.1}]}\n", [
        "configs/a.yaml:4:25: no metric of the tasks matches 'blue'; known: exact_match",
    ]),
    "model that can answer nothing": (RUN.replace("tasks:", "  words: {backend: bm25}\ntasks:"), [
        "configs/a.yaml:3:3: model 'words' (backend bm25) can answer none of the tasks",
    ]),
    "empty file": ("", ["configs/a.yaml: the file is empty"]),
    "not a mapping": ("- models\n", ["configs/a.yaml:1:1: expected a mapping, got a list"]),
}  # fmt: skip
TASK_FAULTS = {
    "misspelt key": (TASK.replace("metrics:", "metrcs:"), [
        "tasks/cities.yaml:1:1: missing required key 'metrics'",
        "tasks/cities.yaml:6:1: unknown key 'metrcs'; did you mean 'metrics'?",
    ]),
    "misspelt key of the suite": (TASK + "decodng: {max_tokens: 5}\n", [
        "tasks/cities.yaml:7:1: unknown key 'decodng'; did you mean 'decoding'?",
    ]),
    "misspelt field of the sample": (TASK.replace("references", "refrences"), [
        "tasks/cities.yaml:4:10: unknown key 'refrences'; did you mean 'references'?",
    ]),
    "misspelt suite": (TASK.replace("generation", "generatoin"), [
        "tasks/cities.yaml:2:8: unknown suite 'generatoin'; did you mean 'generation'?",
    ]),
    "misspelt format": (TASK.replace("{path", "{format: jsnl, path"), [
        "tasks/cities.yaml:3:16: unknown format 'jsnl'; did you mean 'jsonl'?",
    ]),
    "wrong types": (TASK + "limit: many\ndecoding: {max_tokens: few, stop: 3}\n", [
        "tasks/cities.yaml:7:8: expected an integer ≥ 1, got 'many'",
        "tasks/cities.yaml:8:24: expected an integer, got 'few'",
        "tasks/cities.yaml:8:35: expected a list of strings, got 3",
    ]),
    "duplicate key": (TASK + "suite: retrieval\n", ["tasks/cities.yaml:7:1: duplicate key 'suite'; the first is on line 2"]),
    "missing data": (TASK.replace("cities.jsonl", "citys.jsonl"), [
        "tasks/cities.yaml:3:14: path: 'citys.jsonl' does not exist: looked at tasks/citys.jsonl and at citys.jsonl",
    ]),
    "unknown metric": (TASK.replace("exact_match", "exact_mtch"), [
        "tasks/cities.yaml:6:11: unknown metric 'exact_mtch'; did you mean 'exact_match'?",
    ]),
    "unknown parameter": (TASK.replace("exact_match", "rouge(stemer=true)"), [
        "tasks/cities.yaml:6:11: rouge(stemer=true): rouge has no parameter 'stemer'; did you mean 'stemmer'?",
    ]),
    "bad parameter": (TASK.replace("exact_match", "rouge(type=x), recall@0"), [
        "tasks/cities.yaml:6:11: rouge: type must be one of 1, 2, 3, 4, 5, 6, 7, 8, 9, L, Lsum, S, SU, W, got 'x'",
        "tasks/cities.yaml:6:26: recall@k: k must be a positive integer, got 0",
    ]),
    "metric left open": (TASK.replace("[exact_match]", '["bleu("]'), ["tasks/cities.yaml:6:11: 'bleu(': ends too early"]),
    "metric without its need": (TASK.replace("exact_match", "ndcg@10"), [
        "tasks/cities.yaml:6:11: metric ndcg@10 needs ranking; suite generation gives text, timing, usage",
    ]),
    "metric without references": (TASK.replace('references: ["{{ city }}"]', 'id: "{{ id }}"'), [
        "tasks/cities.yaml:6:11: metric exact_match needs references, which no sample of task 'cities' has: "
        "add references: under sample:",
    ]),
    "template left open": (TASK.replace("{{ country }}", "{{ country }"), [
        "tasks/cities.yaml:5:16: template '{{ country }:': line 1: unexpected '}'",
    ]),
    "two prompts": (TASK.replace("{text:", "{user: x, text:"), [
        "tasks/cities.yaml:5:25: prompt: give exactly one of text, user, messages; got text and user",
    ]),
    "field that the prompt lacks": (TASK.replace("country", "land"), [
        "tasks/cities.yaml:5:10: sample '1': prompt.text: no field 'land'; "
        "the fields are: choices, city, contexts, country, id, references, target",
    ]),
    "more examples than there are": (TASK.replace(':"}', ':", shots: {from: self, n: 9}}'), [
        "tasks/cities.yaml:5:54: prompt.shots: n must be at most 1, the examples there are, got 9",
    ]),
}  # fmt: skip
COMMANDS = [("validate", CONFIG), ("run", CONFIG)]


def check_faults(harness: Harness, command: tuple[str, ...], faults: list[str]) -> None:
    counted = [] if len(faults) == 1 else [f"{len(faults)} problems"]
    assert refusal(harness(*command, "--json")) == [*faults, *counted]
    assert not Path("results").exists()  # refused before anything was begun


@pytest.mark.parametrize("command", COMMANDS)
@pytest.mark.parametrize("kind", RUN_FAULTS)
def test_faults_of_a_run(harness: Harness, kind: str, command: tuple[str, ...]) -> None:
    run, faults = RUN_FAULTS[kind]
    write(run=run)
    check_faults(harness, command, faults)


@pytest.mark.parametrize("command", COMMANDS)
@pytest.mark.parametrize("kind", TASK_FAULTS)
def test_faults_of_a_task(harness: Harness, kind: str, command: tuple[str, ...]) -> None:
    task, faults = TASK_FAULTS[kind]
    write(task=task)
    check_faults(harness, command, faults)


@pytest.mark.parametrize("command", COMMANDS)
def test_faults_of_several_files_are_told_together(harness: Harness, command: tuple[str, ...]) -> None:
    write(run=RUN + "seds: [0]\n", task=TASK.replace("exact_match", "blue"))
    check_faults(harness, command, [
        "configs/a.yaml:4:1: unknown key 'seds'; did you mean 'seeds'?",
        "tasks/cities.yaml:6:11: unknown metric 'blue'; did you mean 'bleu'?",
    ])  # fmt: skip


@pytest.mark.parametrize("command", COMMANDS)
def test_a_model_that_cannot_answer_the_suite_names_those_that_could(harness: Harness, command: tuple[str, ...]) -> None:
    write(run=RUN.replace("null", "bm25"))
    (line,) = refusal(harness(*command, "--json"))
    assert re.fullmatch(
        r"tasks/cities\.yaml:2:1: task 'cities' \(suite generation\) needs Generate; no model of this run gives it; "
        r"backends that could: .*\bnull, .*\breplay, .*\btransformers\b.*", line,
    )  # fmt: skip


@pytest.mark.parametrize("command", COMMANDS)
def test_a_config_that_is_not_yaml_names_the_line(harness: Harness, command: tuple[str, ...]) -> None:
    write(run="models:\n\tnobody: 1\n")
    (line,) = refusal(harness(*command, "--json"))
    assert line.startswith("configs/a.yaml:2:1: not valid YAML: ")


@pytest.mark.parametrize("command", ["validate", "run"])
def test_a_config_that_is_not_there(harness: Harness, command: str) -> None:
    assert refusal(harness(command, "configs/b.yaml", "--json")) == ["configs/b.yaml: no such file"]
    (line,) = refusal(harness(command, "configs", "--json"))
    assert line.startswith("configs: cannot be read: ")


@pytest.mark.parametrize(("override", "fault"), [
    ("limit", "--set: expected KEY=VALUE, got 'limit'"),
    ("limt=5", "--set limt: unknown key 'limt'; did you mean 'limit'?"),
    ("models.nobdy.text=x", "--set models.nobdy.text: unknown model 'nobdy'; did you mean 'nobody'?"),
    ("tasks.citys.limit=5", "--set tasks.citys.limit: unknown task 'citys'; did you mean 'cities'?"),
])  # fmt: skip
def test_faults_of_an_override(harness: Harness, override: str, fault: str) -> None:
    check_faults(harness, ("run", CONFIG, "--set", override), [fault])


# ── data ────────────────────────────────────────────────────────────────────────────────────────────────────────────

FIRST, SECOND = DATA.splitlines(keepends=True)
DATA_FAULTS = {
    "empty": ("", r"^cities: .*cities\.jsonl: no samples in it$"),
    "only blank lines": ("\n\n", r"^cities: .*cities\.jsonl: no samples in it$"),
    "field that is not there": (FIRST + '{"id": "2", "country": "Cuba", "town": "Havana"}\n',
                                r"^cities: .*cities\.jsonl: row 2: sample\.references: no field 'city'; "
                                r"the fields are: country, id, town$"),
    "duplicate id": (FIRST + SECOND + FIRST,
                     r"^cities: .*cities\.jsonl: row 3: sample\.id: '1' is the id of row 1 too; ids must be unique$"),
    "not JSON": (FIRST + '{"id": "2", "country": \n', r"cities\.jsonl:2: not JSON: "),
    "not an object": (FIRST + "[1, 2]\n", r"cities\.jsonl:2: expected a JSON object, got a list$"),
    "not text": (FIRST + '{"id": "2", "country": "Cuba", "city": {"name": "Havana"}}\n',
                 r"^cities: .*cities\.jsonl: row 2: sample\.references: \[0\] must be text, got a mapping"),
}  # fmt: skip


@pytest.mark.parametrize("command", COMMANDS)
@pytest.mark.parametrize("kind", DATA_FAULTS)
def test_faults_of_the_data(harness: Harness, kind: str, command: tuple[str, ...]) -> None:
    data, fault = DATA_FAULTS[kind]
    write(data=data)
    (line,) = refusal(harness(*command, "--json"))
    assert re.search(fault, line), line
    assert not Path("results").exists()


@pytest.mark.parametrize("command", COMMANDS)
def test_a_later_row_without_a_field_of_the_prompt_names_its_sample(harness: Harness, command: tuple[str, ...]) -> None:
    write(data=FIRST + '{"id": "2", "land": "Cuba", "city": "Havana"}\n')
    check_faults(harness, command, [
        "tasks/cities.yaml:5:10: sample '2': prompt.text: no field 'country'; "
        "the fields are: choices, city, contexts, id, land, references, target",
    ])  # fmt: skip


@pytest.mark.parametrize(("line", "fault"), [
    ("{broken", r"answers\.jsonl:2: not JSON: "),
    ('{"id": "2"}', r"answers\.jsonl:2: needs one of text, .* or error; the row has id$"),
    ('{"id": "1", "text": "Quito"}', r"answers\.jsonl:2: id '1' stands already in line 1$"),
])  # fmt: skip
def test_faults_of_stored_answers(harness: Harness, line: str, fault: str) -> None:
    Path("answers.jsonl").write_text(f'{{"id": "1", "text": "Lima"}}\n{line}\n')
    write(run=RUN.replace("null", "replay, path: ../answers.jsonl"))
    (told,) = refusal(harness("run", CONFIG, "--json", "--quiet"))
    assert re.search(fault, told), told


# ── runs ────────────────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.fixture
def folder(harness: Harness) -> Path:
    """The folder of a finished run."""
    assert harness("run", CONFIG, "--quiet").code == 0
    (found,) = Path("results").iterdir()
    return found


@pytest.mark.parametrize("command", ["show", "rescore", "leaderboard"])
def test_a_run_that_is_not_there(harness: Harness, folder: Path, command: str) -> None:
    assert refusal(harness(command, "nope", "--json")) == [f"no run 'nope' in results; known: {folder.name}"]
    near = folder.name[:-1] + "_"
    assert refusal(harness(command, near, "--json")) == [f"no run {near!r} in results; did you mean {folder.name!r}?"]
    assert refusal(harness(command, "latest~1", "--json")) == ["'latest~1': there is only one finished run in results"]


@pytest.mark.parametrize("command", ["show", "rescore", "leaderboard"])
def test_no_run_at_all(harness: Harness, command: str) -> None:
    assert refusal(harness(command, "latest", "--json")) == ["'latest': there are no finished runs in results"]


@pytest.mark.parametrize(("words", "fault"), [
    (("show", "latest", "--task", "citys"), "harness show: this run has no task 'citys'; did you mean 'cities'?"),
    (("show", "latest", "--samples", "--entry", "x"), "harness show: this run has no entry 'x'; known: nobody"),
    (("rescore", "latest", "--metrics", "blue"), "unknown metric 'blue'; did you mean 'bleu'?"),
    (("rescore", "latest", "--metrics", "recall@0"), "recall@k: k must be a positive integer, got 0"),
    (("rescore", "latest", "--metrics", "ndcg@10"), "metric ndcg@10 needs ranking, which no task of this run has"),
])  # fmt: skip
def test_what_a_run_does_not_have(harness: Harness, folder: Path, words: tuple[str, ...], fault: str) -> None:
    assert refusal(harness(*words, "--json")) == [fault]
    assert list(Path("results").iterdir()) == [folder]


def cut(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:100])


def of_the_future(path: Path) -> None:
    path.write_text(json.dumps({**json.loads(path.read_text()), "schema": 99}))


def without_estimates(path: Path) -> None:
    values = json.loads(path.read_text())
    path.write_text(json.dumps({key: value for key, value in values.items() if key != "estimates"}))


def with_a_list(path: Path) -> None:
    path.write_text("[]")


@pytest.mark.parametrize("command", ["show", "rescore", "leaderboard"])
@pytest.mark.parametrize(("damage", "fault"), [
    (cut, "is damaged: "),
    (with_a_list, "is not a run record"),
    (without_estimates, "is damaged: it lacks estimates"),
    (of_the_future, "has schema 99, this harness reads up to 1: upgrade harness-eval"),
])  # fmt: skip
def test_a_record_that_cannot_be_read(
    harness: Harness, folder: Path, damage: Callable[[Path], None], fault: str, command: str
) -> None:
    damage(folder / "run.json")
    (line,) = refusal(harness(command, folder.name, "--json"))
    assert line.startswith(f"{folder / 'run.json'} {fault}")
    assert list(Path("results").iterdir()) == [folder]


def test_a_run_without_its_samples(harness: Harness, folder: Path) -> None:
    (folder / "samples.parquet").unlink()
    for words in (("show", folder.name, "--samples"), ("rescore", folder.name)):
        assert refusal(harness(*words, "--json")) == [f"{folder} has no samples.parquet"]
    assert list(Path("results").iterdir()) == [folder]


def test_a_run_that_is_not_finished(harness: Harness, folder: Path) -> None:
    (folder / "run.json").unlink()
    (folder / "journal.jsonl").write_text("{}\n")
    assert refusal(harness("show", folder.name, "--json")) == [
        f"run {folder.name!r} is not finished: start it again with harness run"
    ]
