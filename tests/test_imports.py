"""The one direction in which the parts know each other: every import is walked, those inside functions included."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
RAY_FILES = {
    f"study/{name}.py"
    for name in (
        "trainable",
        "driver",
        "searcher",
        "early_stopping",
        "preflight",
        "capacity",
        "callbacks",
        "task_pool",
        "final_group",
        "final_worker",
    )
}


def imports(source: str, package: tuple[str, ...]) -> Iterator[tuple[int, str]]:
    """Yield line and module of every import of a file; ``from a import b`` yields both ``a`` and ``a.b``.

    Args:
        source: The file's text.
        package: Names of the packages it is in, outermost first; relative imports start from there.
    """
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            yield from ((node.lineno, alias.name) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            above = ".".join(package[: len(package) - node.level + 1]) if node.level else ""
            module = ".".join(part for part in (above, node.module or "") if part)
            yield node.lineno, module
            yield from ((node.lineno, f"{module}.{alias.name}") for alias in node.names)


def violations(folder: str, forbidden: set[str], *, except_in: frozenset[str] = frozenset()) -> list[str]:
    """Return every import in ``folder`` of a forbidden top-level package, as "file:line imports module"."""
    found = []
    for path in sorted((ROOT / folder).rglob("*.py")):
        name = path.relative_to(ROOT).as_posix()
        if name in except_in:
            continue
        for line, module in imports(path.read_text(), path.relative_to(ROOT).parts[:-1]):
            if module.split(".")[0] in forbidden:
                found.append(f"{name}:{line} imports {module}")
    return found


def test_models_know_nothing_of_studies_and_their_tools() -> None:
    assert violations("models", {"study", "analysis", "ray", "optuna", "hydra", "omegaconf"}) == []


def test_analysis_reads_records_and_knows_nothing_of_what_made_them() -> None:
    assert violations("analysis", {"study", "models", "torch", "torchvision", "ray", "optuna", "hydra"}) == []


def test_only_few_files_of_the_study_know_ray() -> None:
    assert violations("study", {"ray"}, except_in=frozenset(RAY_FILES)) == []
    assert all((ROOT / name).exists() for name in RAY_FILES)


def test_studies_do_not_read_back_up_from_analysis() -> None:
    assert violations("study", {"analysis", "plotly"}) == []


def test_hydra_meets_the_study_in_one_file() -> None:
    assert violations("study", {"hydra", "omegaconf"}, except_in=frozenset({"study/compose.py"})) == []


def test_nothing_but_tests_imports_tests_or_benchmarks() -> None:
    for folder in ("models", "study", "analysis"):
        assert violations(folder, {"tests", "benchmarks", "pytest"}) == []


@pytest.mark.parametrize(
    ("source", "modules"),
    [
        ("import ray", ["ray"]),
        ("def f():\n    import ray.tune as t", ["ray.tune"]),
        ("from ray import tune", ["ray", "ray.tune"]),
        ("from study import driver", ["study", "study.driver"]),
        ("from . import driver", ["study", "study.driver"]),
        ("from .driver import run", ["study.driver", "study.driver.run"]),
        ("from .. import driver", ["study", "study.driver"]),
    ],
)
def test_the_walk_finds_imports_of_every_form(source: str, modules: list[str]) -> None:
    package = ("study", "part") if ".." in source else ("study",)
    assert [module for _, module in imports(source, package)] == modules
