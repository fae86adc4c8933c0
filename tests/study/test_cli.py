"""The command line: help, dry run, errors; nothing here starts Ray."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from study.cli import BAD_CONFIGURATION, OK, main
from study.compose import groups


def test_help_explains_every_group_and_option(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--help"]) == OK
    text = capsys.readouterr().out
    lines = text.splitlines()
    for group, options in groups().items():
        heading = next(line for line in lines if line.startswith(f"  {group}:"))
        assert len(heading) > len(group) + 10, f"group {group} is not explained"
        for option in options:
            line = next(line for line in lines if line[2:].lstrip(" *").startswith(f"{option} "))
            assert len(line.split(maxsplit=3)) >= 3, f"{group}={option} is not explained"
    assert "checkpoint_every" in text


def test_a_dry_run_prints_configuration_and_forecast_and_writes_nothing(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert main(["experiment=empty", "trial.seconds=30", "budget.trials=10", "dry_run=true"]) == OK
    printed = capsys.readouterr().out
    configuration, _, forecast = printed.partition("\nforecast: ")
    assert yaml.safe_load(configuration)["budget"]["trials"] == 10
    assert "10 trials" in forecast
    assert "0.17 CPU-hours" in forecast  # 10 trials, 2 epochs, 30 s
    assert list(tmp_path.iterdir()) == []


def test_wrong_overrides_end_with_code_2_and_all_of_them_on_standard_error(
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert main(["experiment=empty", "budget.trial=3", "searcher=tpee"]) == BAD_CONFIGURATION
    captured = capsys.readouterr()
    assert captured.out == ""
    assert "2 problems" in captured.err
    assert "did you mean 'budget.trials'" in captured.err
    assert "did you mean 'tpe'?" in captured.err


def test_help_and_dry_run_do_without_ray_and_torch() -> None:
    code = (
        "import sys; from study.cli import main\n"
        "main(['--help']); main(['experiment=empty', 'dry_run=true'])\n"
        "assert not {'ray', 'torch'} & set(sys.modules), 'imported'"
    )
    subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, timeout=60)
