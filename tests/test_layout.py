"""The layout's two rules: imports run one way, and what serves needs nothing that trains."""

from __future__ import annotations

import ast
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
LAYERS = ("encoders", "recall", "rank", "consumer")  # each may import those before it
TRAINING = frozenset({"torch", "transformers", "onnx", "onnx_ir", "onnxscript", "sklearn", "scipy"})
SERVING = (
    "consumer.worker",
    "consumer.cli",
    "consumer.replay",
    "consumer.dead_letters",
    "rank.tagger",
)

MODULES = {
    ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__"): path
    for layer in LAYERS
    for path in sorted((ROOT / layer).rglob("*.py"))
}


def imports(path: Path, *, deferred: bool) -> Iterator[str]:
    """Absolute names that a module imports; ``deferred``: also those inside functions."""
    for node in walk(ast.parse(path.read_text()), deferred=deferred):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            yield node.module
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def walk(node: ast.AST, *, deferred: bool) -> Iterator[ast.AST]:
    for child in ast.iter_child_nodes(node):
        if isinstance(child, ast.If) and "TYPE_CHECKING" in ast.dump(child.test):
            continue
        if deferred or not isinstance(child, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda):
            yield child
            yield from walk(child, deferred=deferred)


def reachable(roots: tuple[str, ...]) -> set[str]:
    """Modules of ours that are loaded when ``roots`` are imported.

    The command line defers what a command needs, and training commands may need torch; everywhere
    else an import inside a function counts as any other.
    """
    seen: set[str] = set()
    todo = list(roots)
    while todo:
        name = todo.pop()
        if name in seen or name not in MODULES:
            continue
        seen.add(name)
        package = name.rpartition(".")[0]
        if package:
            todo.append(package)
        todo.extend(imports(MODULES[name], deferred=not name.startswith("consumer.cli")))
    return seen


def test_imports_run_one_way() -> None:
    upward = [
        f"{name} imports {imported}"
        for name, path in MODULES.items()
        for imported in imports(path, deferred=True)
        if (top := imported.partition(".")[0]) in LAYERS
        and LAYERS.index(top) > LAYERS.index(name.partition(".")[0])
    ]
    assert upward == []


def test_product_imports_neither_tests_nor_deploy() -> None:
    outward = [
        f"{name} imports {imported}"
        for name, path in MODULES.items()
        for imported in imports(path, deferred=True)
        if imported.partition(".")[0] in ("tests", "deploy")
    ]
    assert outward == []


@pytest.mark.parametrize("root", SERVING)
def test_what_serves_reaches_no_training_package(root: str) -> None:
    assert root in MODULES, "the layout names this module; a rename must be followed here"
    needs = [
        f"{name} imports {imported}"
        for name in sorted(reachable((root,)))
        for imported in imports(MODULES[name], deferred=not name.startswith("consumer.cli"))
        if imported.partition(".")[0] in TRAINING
    ]
    assert needs == []


def test_what_serves_loads_where_training_packages_are_absent() -> None:
    """The same, proved by Python itself: import all that serves with those packages blocked."""
    script = f"""
import sys

class Absent:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in {sorted(TRAINING)!r}:
            raise ModuleNotFoundError(name, name=name)

sys.meta_path.insert(0, Absent())
import importlib
for name in {sorted(reachable(SERVING))!r}:
    importlib.import_module(name)
loaded = sorted({{name.partition(".")[0] for name in sys.modules}} & {set(TRAINING)!r})
sys.exit(f"loaded: {{loaded}}" if loaded else 0)
"""
    done = subprocess.run([sys.executable, "-c", script], cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


def test_modules_stay_small() -> None:
    """One idea a module: over 400 lines, two of them live there."""
    long = {
        name: n for name, path in MODULES.items() if (n := len(path.read_text().splitlines())) > 400
    }
    assert long == {}
