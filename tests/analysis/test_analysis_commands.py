"""``python -m analysis`` as a user types it: what it writes, and how it fails."""

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
import yaml

from analysis.__main__ import FAILED, main

MakeStudy = Callable[..., Path]


def test_report_writes_into_the_study_folder(make_study: MakeStudy, capsys: pytest.CaptureFixture[str]) -> None:
    folder = make_study(trials=3)
    assert main(["report", str(folder)]) == 0
    assert (folder / "report.html").is_file()
    output = capsys.readouterr()
    assert "3 trials" in output.out
    assert "no trial has a gallery" in output.err


def test_select_writes_the_best_configurations_first(make_study: MakeStudy, tmp_path: Path) -> None:
    folder, output = make_study(), tmp_path / "chosen.yaml"
    assert main(["select", str(folder), "--top", "3", "--output", str(output)]) == 0
    document = yaml.safe_load(output.read_text())
    assert (document["study"], document["schema_version"]) == ("keyed-or-learned", 1)
    assert document["rule"] == "best"
    assert document["config"] == {"study": {"name": "keyed-or-learned"}, "budget": {"trials": 24}}
    found = document["configurations"]
    assert "largest reconstruction_ssim" in found[0]["evidence"]["why"]
    assert found[0]["trial"] == 12
    values = [item["objectives"]["reconstruction_ssim"] for item in found]
    assert values == sorted(values, reverse=True)
    assert set(found[0]) == {
        "trial", "parameters", "objectives", "constraints", "feasible", "outcome", "seed", "evidence"
    }  # fmt: skip
    assert found[0]["feasible"] is True
    assert found[0]["seed"] == 1012
    parameters = found[0]["parameters"]
    assert isinstance(parameters["subversion.code_bits"], int)
    assert "subversion.learned.key" not in parameters  # Inactive for this family.


def test_select_says_when_fewer_are_feasible_than_asked(
    make_study: MakeStudy, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = make_study(trials=5)
    assert main(["select", str(folder), "--top", "50"]) == 0
    assert "only 3 trials could be selected" in capsys.readouterr().err
    assert len(yaml.safe_load((folder / "best.yaml").read_text())["configurations"]) == 3


def test_select_without_a_feasible_trial_shows_the_nearest(
    make_study: MakeStudy, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = make_study(change_rows=lambda rows: [row for row in rows if not row["feasible"]])
    assert main(["select", str(folder)]) == FAILED
    message = capsys.readouterr().err
    assert "no trial of the 14 is within every bound" in message
    first = message.splitlines()[1]
    assert first.startswith("  trial 8: worst margin 0.0")
    assert "steganalysis" in first
    assert not (folder / "best.yaml").exists()


def test_a_smaller_objective_wins_where_it_is_minimised(make_study: MakeStudy) -> None:
    leak = {"steganalysis_auc": {"direction": "minimise", "label": "AUC", "unit": "1", "searched": True}}
    folder = make_study(trials=12, metadata={"objectives": leak})
    assert main(["select", str(folder), "--top", "2"]) == 0
    first, second = yaml.safe_load((folder / "best.yaml").read_text())["configurations"]
    assert first["objectives"]["steganalysis_auc"] < second["objectives"]["steganalysis_auc"]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["report", "nowhere"], "is no folder"),
        (["select", "nowhere"], "is no folder"),
        (["select", "STUDY", "--top", "0"], "--top must be at least 1, got 0"),
        (["report", "STUDY", "--output", "STUDY/config.yaml/report.html"], "config.yaml"),
    ],
)
def test_wrong_requests_end_with_a_message_and_status_two(
    make_study: MakeStudy, capsys: pytest.CaptureFixture[str], arguments: list[str], message: str
) -> None:
    folder = str(make_study(trials=3))
    assert main([item.replace("STUDY", folder) for item in arguments]) == FAILED
    error = capsys.readouterr().err
    assert error.startswith("error: ")
    assert message in error


def test_records_of_another_schema_end_with_status_two(
    make_study: MakeStudy, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = make_study(trials=2, metadata={"schema_version": 99})
    for command in ("report", "select"):
        assert main([command, str(folder)]) == FAILED
        assert "schema version 99; this code reads version 1" in capsys.readouterr().err


def test_analysis_needs_neither_torch_nor_ray_nor_optuna() -> None:
    code = (
        "import sys, analysis.__main__; "
        "print(sorted({'torch', 'ray', 'optuna', 'hydra', 'models', 'study'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
