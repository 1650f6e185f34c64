"""The import rules: lower layers only, light imports, no dump modules."""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
LAYERS = {
    "types": 0, "protocols": 0, "errors": 0, "plugins": 0, "specs": 0, "templates": 0, "codec": 0, "frames": 0, "stats": 0,
    "config": 1, "data": 1, "models": 1, "retrieval": 1, "suites": 1, "metrics": 1, "store": 1,
    "engine": 2, "compare": 3, "drift": 3, "noise": 3, "ratings": 3, "gate": 4, "history": 4, "report": 5, "api": 6, "cli": 6,
}  # fmt: skip
ALLOWED_THIRD_PARTY = {"config": {"pydantic", "pydantic_core", "yaml"}, "cli": {"typer", "rich"}}
MODULES = sorted(ROOT.glob("harness/**/*.py"))


def dotted(path: Path) -> str:
    parts = path.relative_to(ROOT).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def part(module: str) -> str:
    """``harness.stats.estimate`` -> ``stats``; the package itself is ``""``."""
    return module.split(".")[1] if "." in module else ""


def imports(path: Path) -> list[tuple[str, bool]]:
    """(module, whether it is imported when the module is) of every import of the file; TYPE_CHECKING blocks do not count."""
    found: list[tuple[str, bool]] = []

    def visit(node: ast.AST, on_import: bool) -> None:
        for child in ast.iter_child_nodes(node):
            if isinstance(child, ast.If) and "TYPE_CHECKING" in ast.dump(child.test):
                continue
            if isinstance(child, ast.Import):
                found.extend((alias.name, on_import) for alias in child.names)
            elif isinstance(child, ast.ImportFrom):
                assert child.level == 0, f"{path}: relative import"
                found.append((child.module or "", on_import))
                if child.module == "harness":
                    found.extend((f"harness.{alias.name}", on_import) for alias in child.names if alias.name in LAYERS)
            visit(child, on_import and not isinstance(child, (ast.FunctionDef, ast.AsyncFunctionDef)))

    visit(ast.parse(path.read_text(encoding="utf-8")), True)
    return found


def offences(path: Path) -> list[str]:
    """What a file imports against the rules."""
    here = part(dotted(path))
    if here == "":
        return []
    wrong = []
    for module, _ in imports(path):
        if not module.startswith("harness.") or part(module) == here:
            continue
        there = part(module)
        if there not in LAYERS:
            wrong.append(f"{module} has no layer")
        elif LAYERS[there] > LAYERS[here] or (LAYERS[there] == LAYERS[here] == 1):
            wrong.append(f"layer {LAYERS[here]} ({here}) imports {module} of layer {LAYERS[there]}")
    if here == "stats" and "Sample" in path.read_text(encoding="utf-8").split():
        wrong.append("stats sees a Sample")
    if here == "report":
        own = [module for module, _ in imports(path) if module.startswith("harness.")]
        wrong += [f"report imports {module}" for module in own if part(module) in ("models", "metrics")]
    return wrong


@pytest.mark.parametrize("path", MODULES, ids=dotted)
def test_a_module_imports_from_lower_layers_only(path: Path) -> None:
    assert offences(path) == []


@pytest.mark.parametrize("path", MODULES, ids=dotted)
def test_importing_a_module_loads_the_standard_library_and_numpy_only(path: Path) -> None:
    here = part(dotted(path))
    allowed = {"harness", "numpy"} | ALLOWED_THIRD_PARTY.get(here, set())
    heavy = {
        module for module, on_import in imports(path)
        if on_import and module.split(".")[0] not in allowed and module.split(".")[0] not in sys.stdlib_module_names
    }  # fmt: skip
    assert heavy == set()


def loaded_by(module: str) -> set[str]:
    code = f"import sys; before = set(sys.modules); import {module}; print('\\n'.join(set(sys.modules) - before))"
    out = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=ROOT).stdout
    return {name.split(".")[0] for name in out.split()}


@pytest.mark.parametrize(
    ("module", "allowed"),
    [
        ("harness", set()),
        ("harness.cli", set()),
        ("harness.types", {"numpy"}),
        ("harness.plugins", {"numpy"}),
        ("harness.engine.run", {"numpy"}),
        ("harness.api", {"numpy"}),
    ],
)
def test_what_a_fresh_process_has_loaded(module: str, allowed: set[str]) -> None:
    third_party = {name for name in loaded_by(module) if name not in sys.stdlib_module_names and not name.startswith("_")}
    assert third_party - {"harness", "cython_runtime"} - allowed == set()


def test_a_run_does_without_what_compares() -> None:
    code = "import harness.api, sys; print([name for name in sys.modules if name.split('.')[1:2] in (['compare'], ['gate'])])"
    said = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=ROOT).stdout
    assert said.strip() == "[]"


def test_every_plugin_module_loads_numpy_only() -> None:
    code = (
        "from harness import plugins; import sys\n"
        "for kind in plugins.PACKAGES: plugins.catalogue(kind)\n"
        "print('\\n'.join(sys.modules))"
    )
    out = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=ROOT).stdout
    heavy = {"torch", "scipy", "pyarrow", "transformers", "nltk", "pandas", "jinja2", "rich", "orjson", "rapidfuzz", "bm25s",
             "faiss", "pydantic", "yaml"}  # fmt: skip
    assert {name.split(".")[0] for name in out.split()} & heavy == set()


def test_no_dump_modules() -> None:
    assert [str(p) for p in MODULES if p.stem in ("utils", "common", "helpers", "misc")] == []


def test_the_rules_catch_an_offence(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A planted defect: a metric that imports the engine, and one that imports a model."""
    planted = tmp_path / "harness" / "metrics" / "bad.py"
    planted.parent.mkdir(parents=True)
    planted.write_text("from harness.engine.run import run_plan\n\ndef f():\n    import harness.models.null\n")
    monkeypatch.setattr(sys.modules[__name__], "ROOT", tmp_path)
    assert offences(planted) == [
        "layer 1 (metrics) imports harness.engine.run of layer 2",
        "layer 1 (metrics) imports harness.models.null of layer 1",
    ]
