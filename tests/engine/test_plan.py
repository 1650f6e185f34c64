"""From YAML files to a plan: which model takes which task, what is refused, the cells of a matrix, and what the hash covers."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path

import pytest

from harness.config import load_run
from harness.engine.plan import Plan, make_plan
from harness.engine.preview import first_prompts
from harness.errors import ConfigError, DataError

QA = """\
task: qa
suite: generation
data: {path: qa.jsonl}
sample: {references: ["{{ a }}"]}
prompt: {text: "{{ q }}"}
metrics: [exact_match]
"""
SEARCH = """\
task: search
suite: retrieval
data: {queries: queries.jsonl, corpus: corpus.jsonl, qrels: qrels.tsv}
k: 10
metrics: [recall@10]
"""
MOOD = """\
task: mood
suite: classification
data: {path: mood.jsonl}
sample: {target: "{{ mood }}"}
choices: [glad, sad]
prompt: {text: "{{ text }}:"}
metrics: [accuracy]
"""
RUN = """\
models: {nobody: {backend: "null"}, stored: {backend: replay, path: answers.jsonl}}
tasks: [qa.yaml]
"""
FILES = {
    "qa.yaml": QA,
    "search.yaml": SEARCH,
    "mood.yaml": MOOD,
    "run.yaml": RUN,
    "qa.jsonl": '{"id": "1", "q": "Peru?", "a": "Lima"}\n{"id": "2", "q": "Cuba?", "a": "Havana"}\n',
    "mood.jsonl": '{"id": "1", "text": "I like it", "mood": "glad"}\n{"id": "2", "text": "No", "mood": "sad"}\n',
    "queries.jsonl": '{"_id": "q1", "text": "dirty filter"}\n',
    "corpus.jsonl": '{"_id": "d1", "text": "rinse the filter"}\n{"_id": "d2", "text": "open the door"}\n',
    "qrels.tsv": "query-id\tcorpus-id\tscore\nq1\td1\t1\n",
    "answers.jsonl": '{"id": "1", "text": "Lima"}\n',
    "a.yaml": 'text: "Q: {{ q }}"\n',
    "b.yaml": 'text: "Question: {{ q }}"\n',
}
BM25 = "{backend: bm25}"
NULL = '{backend: "null"}'


class Project:
    """Files in a folder; ``plan(name=text)`` writes some anew (``_`` stands for the dot) and plans ``run.yaml``."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.write(FILES)

    def write(self, files: Mapping[str, str]) -> None:
        for name, text in files.items():
            (self.folder / name).write_text(text, encoding="utf-8")

    def plan(self, run: str = RUN, **files: str) -> Plan:
        self.write({"run.yaml": run, **{name.replace("_", "."): text for name, text in files.items()}})
        return make_plan(load_run(self.folder / "run.yaml"))

    def refused(self, run: str = RUN, **files: str) -> list[str]:
        with pytest.raises(ConfigError) as refused:
            self.plan(run, **files)
        return list(refused.value.problems)


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Project:
    monkeypatch.chdir(tmp_path)
    return Project(tmp_path)


def pairs(plan: Plan) -> list[tuple[str, str]]:
    return [(unit.entry, unit.task.name) for unit in plan.units]


# ── pairing ─────────────────────────────────────────────────────────────────────────────────────────────────────────


def test_every_model_takes_the_tasks_that_it_can_answer(project: Project) -> None:
    run = f"models: {{words: {BM25}, nobody: {NULL}}}\ntasks: [qa.yaml, search.yaml]\n"
    plan = project.plan(run)
    assert pairs(plan) == [("words", "search"), ("nobody", "qa"), ("nobody", "search")]
    assert [unit.index for unit in plan.units] == [0, 1, 2]
    assert {unit.cell for unit in plan.units} == {""}


def test_a_task_may_choose_its_models(project: Project) -> None:
    run = f"models: {{a: {NULL}, b: {NULL}}}\ntasks: [{{use: qa.yaml, models: [b]}}, mood.yaml]\n"
    assert pairs(project.plan(run)) == [("a", "mood"), ("b", "qa"), ("b", "mood")]


def test_a_model_that_can_answer_nothing_is_refused(project: Project) -> None:
    run = f"models: {{nobody: {NULL}, words: {BM25}}}\ntasks: [qa.yaml]\n"
    assert project.refused(run) == ["run.yaml:1:37: model 'words' (backend bm25) can answer none of the tasks"]


def test_a_task_that_no_model_can_answer_names_the_backends_that_could(project: Project) -> None:
    (problem,) = project.refused(f"models: {{words: {BM25}}}\ntasks: [qa.yaml, search.yaml]\n")
    start = "qa.yaml:2:1: task 'qa' (suite generation) needs Generate; no model of this run gives it; backends that could: "
    assert problem.startswith(start)
    could = problem.removeprefix(start).split(", ")
    assert {"null", "replay", "transformers"} <= set(could)
    assert "bm25" not in could


def test_a_task_that_names_a_model_that_cannot_is_refused(project: Project) -> None:
    run = f"models: {{words: {BM25}, nobody: {NULL}}}\ntasks: [{{use: qa.yaml, models: [words]}}, search.yaml]\n"
    (problem,) = project.refused(run)
    assert problem.startswith(
        "run.yaml:2:24: task 'qa' needs Generate; model 'words' (backend bm25) does not give it; backends that could: "
    )


def test_all_problems_are_told_at_once(project: Project) -> None:
    run = f"models: {{words: {BM25}}}\ntasks: [qa.yaml, mood.yaml]\n"
    problems = project.refused(run, qa_yaml=QA.replace("exact_match", "accuracy"))
    assert [problem.split(";")[0] for problem in problems] == [
        "qa.yaml:2:1: task 'qa' (suite generation) needs Generate",
        "qa.yaml:6:11: metric accuracy needs label",
        "qa.yaml:6:11: metric accuracy needs target, which no sample of task 'qa' has: add target: under sample:",
        "mood.yaml:2:1: task 'mood' (suite classification) needs LogLikelihood",
    ]


# ── metrics ─────────────────────────────────────────────────────────────────────────────────────────────────────────


def test_a_metric_needs_what_the_suite_gives(project: Project) -> None:
    assert project.refused(qa_yaml=QA.replace("exact_match", "ndcg@10")) == [
        "qa.yaml:6:11: metric ndcg@10 needs ranking; suite generation gives text, timing, usage"
    ]


def test_a_metric_is_told_as_written_where_it_is_written(project: Project) -> None:
    """With spaces in it, and the second of the run's own list: that stands in the run's file, and the task's is replaced."""
    run = RUN.replace("[qa.yaml]", "\n  - use: qa.yaml\n    metrics: [exact_match, 'ndcg@10( gain = exp )']")
    assert project.refused(run) == [
        "run.yaml:4:28: metric ndcg@10( gain = exp ) needs ranking; suite generation gives text, timing, usage"
    ]


def test_every_cell_is_checked(project: Project) -> None:
    """log_loss has its probabilities in the first cell, but not where the model writes text."""
    run = RUN.replace("qa.yaml", "mood.yaml") + "matrix: {answer: [likelihood, text]}\n"
    assert project.refused(run, mood_yaml=MOOD.replace("accuracy", "log_loss")) == [
        "mood.yaml:7:11: metric log_loss needs probabilities; suite classification gives label, text, timing, usage"
    ]


@pytest.mark.parametrize(("task", "without", "problem"), [
    ("qa", (QA, 'references: ["{{ a }}"]'),
     "6:11: metric exact_match needs references, which no sample of task 'qa' has: add references"),
    ("mood", (MOOD, 'target: "{{ mood }}"'),
     "7:11: metric accuracy needs target, which no sample of task 'mood' has: add target"),
])  # fmt: skip
def test_what_samples_never_have_is_told(project: Project, task: str, without: tuple[str, str], problem: str) -> None:
    text, line = without
    run = RUN.replace("qa.yaml", f"{task}.yaml")
    found = project.refused(run, **{f"{task}_yaml": text.replace(line, 'id: "{{ id }}"')})
    assert found == [f"{task}.yaml:{problem}: under sample:"]


def test_choices_may_be_the_tasks_or_the_samples(project: Project) -> None:
    run = RUN.replace("qa.yaml", "mood.yaml")
    text = MOOD.replace("[accuracy]", "[acc_norm]")
    project.plan(run, mood_yaml=text)
    without = text.replace("choices: [glad, sad]\n", "")
    project.plan(run, mood_yaml=without.replace("sample: {", "sample: {choices: [glad, sad], "))
    problems = project.refused(run, mood_yaml=without)
    assert problems == [
        "mood.yaml:6:11: metric acc_norm needs choices, which no sample of task 'mood' has: add choices: under sample:"
    ]


# ── roles ───────────────────────────────────────────────────────────────────────────────────────────────────────────


def test_a_role_that_is_missing_is_told(project: Project) -> None:
    run = "models: {vectors: {backend: dense, encoder: reader}}\ntasks: [search.yaml]\n"
    assert project.refused(run) == ["run.yaml:1:10: model 'vectors' needs the role 'reader': add it under roles:"]


def test_a_role_must_give_what_it_is_for(project: Project) -> None:
    run = f"models: {{vectors: {{backend: dense, encoder: reader}}}}\nroles: {{reader: {BM25}}}\ntasks: [search.yaml]\n"
    assert project.refused(run) == ["run.yaml:2:9: role 'reader' must give Embed; backend bm25 does not"]
    assert pairs(project.plan(run.replace(BM25, NULL))) == [("vectors", "search")]


# ── first requests ──────────────────────────────────────────────────────────────────────────────────────────────────


def test_a_field_that_the_prompt_lacks_is_told_before_any_model_is_loaded(project: Project) -> None:
    (problem,) = project.refused(qa_yaml=QA.replace("{{ q }}", "{{ question }}"))
    assert problem.startswith("qa.yaml:5:10: sample '1': prompt.text: no field 'question'; the fields are: a, choices, ")


@pytest.mark.parametrize(("rows", "question"), [
    ('{"q": "Peru?", "a": "Lima"}\n{"a": "Havana"}\n', "{{ q }}"),
    ('{"q": {"en": "Peru?"}, "a": "Lima"}\n{"q": {"es": "¿Cuba?"}, "a": "Havana"}\n', "{{ q.en }}"),
])  # fmt: skip
def test_a_field_that_only_a_later_row_lacks_is_told_too(project: Project, rows: str, question: str) -> None:
    (problem,) = project.refused(qa_jsonl=rows, qa_yaml=QA.replace("{{ q }}", question))
    assert problem.startswith(f"qa.yaml:5:10: sample '2': prompt.text: no field {question[3:-3]!r}; the fields are: ")


def test_rows_may_differ_in_fields_that_no_prompt_asks_for(project: Project) -> None:
    plan = project.plan(qa_jsonl=FILES["qa.jsonl"] + '{"id": "3", "q": "Laos?", "a": "Vientiane", "note": "x"}\n')
    assert [data.facts.alike for data in plan.data.values()] == [False]


@pytest.mark.parametrize(("run", "sets", "place"), [
    (RUN + "matrix: {prompt: [a.yaml, b.yaml]}\n", [], "b.yaml:2:1"),
    (RUN + "matrix: {prompt: [a.yaml, {text: '{{ x }}'}]}\n", [], "run.yaml:3:28"),
    (RUN + "matrix: {prompt.text: ['{{ q }}', '{{ x }}']}\n", [], "run.yaml:3:10"),
    (RUN.replace("[qa.yaml]", "[{use: qa.yaml, prompt: {text: '{{ x }}'}}]"), [], "run.yaml:2:33"),
    (RUN, ["tasks.qa.prompt.text=a {{ x }}"], "--set tasks.qa.prompt.text"),
])  # fmt: skip
def test_a_prompt_is_told_where_it_is_written(project: Project, run: str, sets: list[str], place: str) -> None:
    """The task's own prompt, on line 5 of qa.yaml, has no fault."""
    project.write({"run.yaml": run, "b.yaml": '# short\ntext: "{{ x }}"\n'})
    with pytest.raises(ConfigError) as refused:
        make_plan(load_run(project.folder / "run.yaml", sets))
    (problem,) = refused.value.problems
    assert problem.startswith(f"{place}: sample '1': prompt.text: no field 'x'; ")


def test_examples_that_are_not_there_are_told_for_every_task(project: Project) -> None:
    run = RUN.replace("qa.yaml", "qa.yaml, mood.yaml")
    shots = {"qa_yaml": QA.replace('"}\nmet', '", shots: {from: self, n: 2}}\nmet'),
             "mood_yaml": MOOD.replace('"}\nmet', '", shots: {from: train, n: 1}}\nmet')}  # fmt: skip
    problems = project.refused(run, **shots)
    assert problems[0] == "qa.yaml:5:47: prompt.shots: n must be at most 1, the examples there are, got 2"
    assert problems[1].startswith("mood.yaml:6:1: mood: ")
    assert problems[1].endswith("mood.jsonl: no split 'train'; name its file: splits: {train: …}")


def test_the_first_prompt_of_every_task_and_cell_is_shown_once(project: Project) -> None:
    run = RUN.replace("qa.yaml", "qa.yaml, mood.yaml") + "matrix: {prompt: [a.yaml, b.yaml]}\n"
    plan = project.plan(run, mood_yaml=MOOD.replace('{text: "{{ text }}:"}', "a.yaml").replace("text", "q"),
                        mood_jsonl='{"q": "I like it", "mood": "glad"}\n')  # fmt: skip
    assert [(shown.entry, shown.task, shown.prompt, shown.continuations) for shown in first_prompts(plan)] == [
        ("nobody [prompt=a]", "qa", "Q: Peru?", ()),
        ("nobody [prompt=a]", "mood", "Q: I like it", (" glad", " sad")),
        ("nobody [prompt=b]", "qa", "Question: Peru?", ()),
        ("nobody [prompt=b]", "mood", "Question: I like it", (" glad", " sad")),
    ]


# ── data ────────────────────────────────────────────────────────────────────────────────────────────────────────────


def test_data_that_cannot_be_used_is_refused(project: Project) -> None:
    with pytest.raises(DataError, match=r"^qa: .*qa\.jsonl: no samples in it$"):
        project.plan(qa_jsonl="")


def test_a_limit_takes_the_first_samples(project: Project) -> None:
    plan = project.plan(RUN + "limit: 1\n")
    (data,) = plan.data.values()
    assert (data.facts.n, [sample.id for sample in data]) == (1, ["1"])


def test_tasks_on_one_file_have_their_own_choices(project: Project) -> None:
    other = "{use: mood.yaml, task: other, choices: [sad, glad], metrics: [log_loss]}"
    plan = project.plan(RUN.replace("qa.yaml", f"mood.yaml, {other}"))
    assert {unit.task.name: next(iter(plan.task_data(unit.task))).choices for unit in plan.units} == {
        "mood": ("glad", "sad"), "other": ("sad", "glad"),
    }  # fmt: skip


def test_tasks_on_one_file_have_their_own_limits(project: Project) -> None:
    plan = project.plan(RUN.replace("[qa.yaml]", "[qa.yaml, {use: qa.yaml, task: short, limit: 1}]"))
    assert {unit.task.name: plan.task_data(unit.task).facts.n for unit in plan.units} == {"qa": 2, "short": 1}


def test_the_same_words_for_another_file_are_other_data(project: Project) -> None:
    """``qa.jsonl`` of the task is beside the task, that of the run beside the run."""
    (project.folder / "runs").mkdir()
    (project.folder / "runs" / "qa.jsonl").write_text('{"id": "9", "q": "Chad?", "a": "N\'Djamena"}\n')
    own = "{use: ../qa.yaml, task: own, data: {path: qa.jsonl}}"
    (project.folder / "runs" / "run.yaml").write_text(f"models: {{nobody: {NULL}}}\ntasks: [../qa.yaml, {own}]\n")
    plan = make_plan(load_run(project.folder / "runs" / "run.yaml"))
    assert {unit.task.name: [sample.id for sample in plan.task_data(unit.task)] for unit in plan.units} == {
        "qa": ["1", "2"], "own": ["9"],
    }  # fmt: skip


# ── the matrix ──────────────────────────────────────────────────────────────────────────────────────────────────────


def test_cells_that_touch_a_unit_are_named_and_the_others_not_repeated(project: Project) -> None:
    run = f"""\
models: {{nobody: {NULL}, words: {BM25}}}
tasks: [qa.yaml, search.yaml]
matrix: {{decoding.temperature: [0, 0.7], models.words.k1: [0.9, 1.2]}}
"""
    assert pairs(project.plan(run)) == [
        ("nobody [temperature=0]", "qa"), ("nobody", "search"), ("nobody [temperature=0.7]", "qa"),
        ("words [k1=0.9]", "search"), ("words [k1=1.2]", "search"),
    ]  # fmt: skip


def test_prompt_files_name_their_cells(project: Project) -> None:
    run = RUN + "matrix: {prompt: [a.yaml, b.yaml], decoding.temperature: [0, 1]}\n"
    plan = project.plan(run)
    cells = [f"prompt={prompt}, temperature={temperature}" for prompt in "ab" for temperature in (0, 1)]
    assert [unit.entry for unit in plan.units] == [f"{model} [{cell}]" for model in ("nobody", "stored") for cell in cells]
    assert [unit.task.suite.decoding.temperature for unit in plan.units] == [0, 1] * 4  # type: ignore[attr-defined]


def test_every_model_is_loaded_once_a_cell_of_its_own(project: Project) -> None:
    """An axis of the model outside, an axis of the task inside: units of one model's state stand together."""
    run = f"models: {{a: {NULL}, b: {NULL}}}\ntasks: [qa.yaml]\n"
    run += "matrix: {decoding.temperature: [0, 1], models.a.text: [x, y]}\n"
    assert [(unit.model.name, dict(unit.model.options).get("text"), unit.cell) for unit in project.plan(run).units] == [
        ("a", "x", "temperature=0, text=x"), ("a", "x", "temperature=1, text=x"),
        ("a", "y", "temperature=0, text=y"), ("a", "y", "temperature=1, text=y"),
        ("b", None, "temperature=0"), ("b", None, "temperature=1"),
    ]  # fmt: skip


def test_an_axis_of_data_gives_every_cell_its_own_samples(project: Project) -> None:
    run = RUN.replace("qa.yaml", "mood.yaml") + "matrix: {choices: [[glad, sad], [sad, glad]]}\n"
    plan = project.plan(run)
    found = {unit.cell: next(iter(plan.task_data(unit.task))).choices for unit in plan.units}
    assert found == {'choices=["glad","sad"]': ("glad", "sad"), 'choices=["sad","glad"]': ("sad", "glad")}


# ── the hash ────────────────────────────────────────────────────────────────────────────────────────────────────────

RETRIEVAL = f"models: {{words: {BM25}}}\ntasks: [search.yaml]\n"
CHANGED: Mapping[str, Callable[[Project], Plan]] = {
    "an answer in the data": lambda p: p.plan(qa_jsonl=FILES["qa.jsonl"].replace("Havana", "La Habana")),
    "one sample more": lambda p: p.plan(qa_jsonl=FILES["qa.jsonl"] + '{"id": "3", "q": "Laos?", "a": "Vientiane"}\n'),
    "the order of the data": lambda p: p.plan(qa_jsonl="".join(FILES["qa.jsonl"].splitlines(keepends=True)[::-1])),
    "a limit": lambda p: p.plan(RUN + "limit: 1\n"),
    "the prompt": lambda p: p.plan(qa_yaml=QA.replace("{{ q }}", "{{ q }} ")),
    "the decoding": lambda p: p.plan(qa_yaml=QA + "decoding: {max_tokens: 8}\n"),
    "the seeds": lambda p: p.plan(RUN + "seeds: [0, 1]\n"),
    "an option of a model": lambda p: p.plan(RUN.replace(NULL, '{backend: "null", text: x}')),
    "the name of a model": lambda p: p.plan(RUN.replace("nobody", "somebody")),
    "a model less": lambda p: p.plan(RUN.replace(f"nobody: {NULL}, ", "")),
    "a task more": lambda p: p.plan(RUN.replace("qa.yaml", "qa.yaml, mood.yaml")),
    "a matrix": lambda p: p.plan(RUN + "matrix: {decoding.temperature: [0, 1]}\n"),
    "a role": lambda p: p.plan(RUN + f"roles: {{reader: {NULL}}}\n"),
}
UNCHANGED: Mapping[str, Callable[[Project], Plan]] = {
    "nothing": lambda p: p.plan(),
    "the metrics": lambda p: p.plan(qa_yaml=QA.replace("[exact_match]", "[token_f1, exact_match]\nprimary: exact_match")),
    "the gate": lambda p: p.plan(RUN + "gate: {rules: [{metric: exact_match, max_drop: 0.1}]}\n"),
    "the level": lambda p: p.plan(RUN + "level: 0.9\n"),
    "the replicates": lambda p: p.plan(RUN + "n_bootstrap: 50\n"),
    "the share that may be missing": lambda p: p.plan(RUN + "max_missing: 0.5\n"),
    "the name of the run": lambda p: p.plan(RUN + "name: other\n"),
    "the layout of the files": lambda p: p.plan("# a comment\n" + RUN.replace(", ", ",  "), qa_yaml="\n" + QA),
    "how a row is written": lambda p: p.plan(qa_jsonl=FILES["qa.jsonl"].replace(": ", ":")),
}


@pytest.mark.parametrize("what", CHANGED)
def test_what_answers_depend_on_changes_the_hash(project: Project, what: str) -> None:
    before = project.plan().plan_hash
    assert CHANGED[what](project).plan_hash != before


@pytest.mark.parametrize("what", UNCHANGED)
def test_what_they_do_not_depend_on_leaves_the_hash(project: Project, what: str) -> None:
    before = project.plan().plan_hash
    assert UNCHANGED[what](project).plan_hash == before


def test_a_document_of_the_corpus_changes_the_hash(project: Project) -> None:
    before = project.plan(RETRIEVAL).plan_hash
    assert project.plan(RETRIEVAL).plan_hash == before
    assert project.plan(RETRIEVAL, corpus_jsonl=FILES["corpus.jsonl"].replace("door", "lid")).plan_hash != before


def test_a_moved_project_has_the_same_hash(project: Project, tmp_path: Path) -> None:
    moved = tmp_path / "elsewhere"
    moved.mkdir()
    assert Project(moved).plan().plan_hash == project.plan().plan_hash


def test_the_fingerprint_names_samples_and_corpus(project: Project) -> None:
    (data,) = project.plan(RETRIEVAL).data.values()
    corpus = data.corpus()
    assert corpus is not None
    assert data.fingerprint() == f"{data.facts.fingerprint}+{corpus.fingerprint}"
    (plain,) = project.plan().data.values()
    assert plain.fingerprint() == plain.facts.fingerprint
    assert [document.id for document in corpus] == ["d1", "d2"]


def test_a_target_that_is_none_of_the_choices_is_told(project: Project) -> None:
    other = "{use: mood.yaml, task: other, choices: [good, bad], metrics: [accuracy]}"
    with pytest.raises(ConfigError) as error:
        project.plan(RUN.replace("qa.yaml", other))
    assert "target 'glad' of sample '1' is not among its choices: 'good', 'bad'" in str(error.value)


# ── what is worth a note ──


def test_a_budget_in_money_says_which_models_it_cannot_see(project: Project) -> None:
    dear, free = "{backend: openai, model: a, prices: {input: 1, output: 2}}", "{backend: openai, model: b}"
    run = f"models: {{dear: {dear}, free: {free}, nobody: {NULL}}}\ntasks: [qa.yaml]\n"
    assert project.plan(f"{run}budget: {{max_cost: 5}}\n").notes == (
        "budget.max_cost: model 'free' has no prices; only what it tells of its cost itself is counted",
    )
    assert project.plan(f"{run}budget: {{max_tokens: 5}}\n").notes == ()


def test_an_application_needs_no_prompt_and_a_language_model_does(project: Project) -> None:
    asked = QA.replace('prompt: {text: "{{ q }}"}\n', "").replace("sample: {", 'sample: {input: {q: "{{ q }}"}, ')
    plan = project.plan('models: {app: {backend: python, app: "json:dumps"}}\ntasks: [qa.yaml]\n', qa_yaml=asked)
    assert pairs(plan) == [("app", "qa")]
    (problem, *_) = project.refused("models: {llm: {backend: openai, model: a}}\ntasks: [qa.yaml]\n", qa_yaml=asked)
    assert problem.startswith(
        "qa.yaml:2:1: task 'qa' (suite generation) needs Ask, since it has no prompt; no model of this run gives it; backends "
        "that could: "
    )
