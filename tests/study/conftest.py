"""Configurations of small studies, composed from the real ``search_spaces/``."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from study.compose import compose_config
from study.config import StudyConfig, read_config

MakeConfig = Callable[..., StudyConfig]

FAULT_SPACE: dict[str, Any] = {
    "parameters": [
        {"name": "x", "kind": "float", "low": 0.0, "high": 1.0, "role": "scientific", "unit": "1", "reason": "test"},
        {
            "name": "fault",
            "kind": "categorical",
            "values": [
                "none",
                "diverge",
                "out_of_memory",
                "crash",
                "worker_killed",
                "nan_metric",
                "absent_metric",
                "nan_objective",
            ],
            "role": "nuisance",
            "unit": "1",
            "reason": "test",
        },
    ]
}


@pytest.fixture
def make_config(tmp_path: Path) -> MakeConfig:
    """Return a function that resolves a study of empty trials in ``tmp_path``."""

    def make(*overrides: str, edit: Callable[[dict[str, Any]], Any] | None = None) -> StudyConfig:
        given = [f"output={tmp_path}/study", f"cache={tmp_path}/cache", "experiment=empty", *overrides]
        composed = compose_config(given)
        if edit is not None:
            edit(composed.values)
        return read_config(composed.values, composed.fixed, composed.problems)

    return make


@pytest.fixture
def fault_space() -> dict[str, Any]:
    """Return a space in which every fault of the empty experiment can be asked for, each tried first once."""
    faults = FAULT_SPACE["parameters"][1]["values"]
    return {**FAULT_SPACE, "starting_points": [{"x": 0.5, "fault": fault} for fault in faults]}
