"""Rules choose what they say, say why, and refuse what is beyond a bound."""

import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml

from analysis.__main__ import FAILED, main
from analysis.errors import AnalysisError
from analysis.margins import margin_limits, outside
from analysis.pareto import nondominated
from analysis.records import Study, load_study
from analysis.rules import choose

MakeStudy = Callable[..., Path]


@pytest.fixture(scope="module")
def study(whole_study: Path) -> Study:
    return load_study(whole_study)


def trials(study: Study, rule: str, top: int = 1, **options: Any) -> list[int]:
    return [int(study.trial[choice.row]) for choice in choose(study, rule, top, **options)]


def test_the_knee_of_two_objectives_is_farthest_from_the_chord_between_the_ends(make_study: MakeStudy) -> None:
    ends = {0: (0.2, 0.50), 1: (0.4, 0.51), 2: (0.55, 0.53), 3: (0.60, 0.57), 4: (0.62, 0.60), 5: (0.50, 0.59)}

    def place(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
        for row in rows:
            ssim, auc = ends[row["trial"]]
            row |= {"objective.reconstruction_ssim": ssim, "objective.steganalysis_auc": auc, "feasible": True}
            row |= {name: -0.1 for name in row if name.startswith("constraint.")}
        return rows

    objectives = {
        name: {"direction": direction, "label": name, "unit": "1", "searched": True}
        for name, direction in (("reconstruction_ssim", "maximise"), ("steganalysis_auc", "minimise"))
    }
    study = load_study(make_study(trials=6, crashed=(), change_rows=place, metadata={"objectives": objectives}))
    assert trials(study, "knee", 10)[0] == 2
    assert 5 not in trials(study, "knee", 10)  # dominated
    first, last = np.array(ends[0]), np.array(ends[4])
    chord, offsets = last - first, np.array([ends[trial] for trial in range(5)]) - first
    distance = np.abs(chord[0] * offsets[:, 1] - chord[1] * offsets[:, 0])
    assert int(distance.argmax()) == 2


def test_a_budget_takes_the_best_of_those_that_keep_it(study: Study) -> None:
    for rule, metric in (
        ("budget:steganalysis_auc <= 0.55", "steganalysis_auc.high_pass"),
        ("budget:steganalysis_auc.high_pass <= 0.55", "steganalysis_auc.high_pass"),
        ("budget: seconds <= 70", ""),
    ):
        used = study.seconds if not metric else study.metrics[metric].value
        limit = 70 if not metric else 0.55
        allowed = np.flatnonzero(study.feasible & (used <= limit))
        best = allowed[np.argmax(study.objectives["reconstruction_ssim"][allowed])]
        assert trials(study, rule) == [int(study.trial[best])], rule
        assert trials(study, rule) != trials(study, "best") or not metric


def test_the_worst_voting_member_has_to_keep_a_budget(study: Study) -> None:
    chosen = trials(study, "budget:strong_identity_accuracy <= baseline + 0.01", 30)
    assert chosen
    for row in range(len(study)):
        members = [one for one in study.members("strong_identity_accuracy").values() if one.votes[row]]
        kept = all(one.value[row] <= one.baseline[row] + 0.01 for one in members)
        assert (int(study.trial[row]) in chosen) == (bool(study.feasible[row]) and kept)


def test_what_was_not_measured_keeps_no_budget(make_study: MakeStudy) -> None:
    def blind(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
        for row in rows:
            row["metric.steganalysis_auc.high_pass"] = math.nan
        return rows

    study = load_study(make_study(trials=5, change_rows=blind))
    with pytest.raises(AnalysisError, match="not measured"):
        choose(study, "budget:steganalysis_auc <= 0.9", 1)


def test_a_budget_that_nobody_keeps_names_the_nearest(study: Study) -> None:
    with pytest.raises(AnalysisError) as caught:
        choose(study, "budget:steganalysis_auc <= 0.4", 1)
    lines = str(caught.value).splitlines()
    feasible = np.flatnonzero(study.feasible)
    values = study.metrics["steganalysis_auc.high_pass"].value
    nearest = study.trial[feasible[np.argmin(values[feasible])]]
    assert lines[1].startswith(f"  trial {nearest}: ")
    assert "beyond it" in lines[1]


def test_trials_beyond_a_bound_are_refused_by_number_unless_allowed(study: Study) -> None:
    beyond = int(study.trial[np.flatnonzero(~study.feasible)[0]])
    within = int(study.trial[np.flatnonzero(study.feasible)[0]])
    assert trials(study, f"ids:{within}") == [within]
    with pytest.raises(AnalysisError) as caught:
        choose(study, f"ids:{beyond},{within},99,x", 1)
    message = str(caught.value)
    assert f"trial {beyond} is not within every bound" in message
    assert "--allow-infeasible" in message
    assert "no trial 99" in message
    assert "'x' is no trial number" in message
    assert trials(study, f"ids:{beyond},{within}", allow_infeasible=True) == [beyond, within]


def test_without_a_feasible_trial_the_best_of_all_can_be_had_on_request(make_study: MakeStudy) -> None:
    folder = make_study(change_rows=lambda rows: [row for row in rows if not row["feasible"]])
    assert main(["select", str(folder), "--rule", "knee"]) == FAILED
    assert main(["select", str(folder), "--allow-infeasible"]) == 0
    (chosen,) = yaml.safe_load((folder / "best.yaml").read_text())["configurations"]
    assert chosen["feasible"] is False
    values = load_study(folder).objectives["reconstruction_ssim"]
    assert chosen["objectives"]["reconstruction_ssim"] == np.nanmax(values)


@pytest.mark.parametrize("rule", ["nearest", "best:3", "budget", "budget:", "ids:", "budget:auc < 3", "knee:2"])
def test_unknown_rules_are_refused_with_those_there_are(study: Study, rule: str) -> None:
    with pytest.raises(AnalysisError, match=r"permitted: best, knee|holds no bound"):
        choose(study, rule, 1)


def test_a_budget_on_an_unknown_metric_names_those_there_are(study: Study) -> None:
    with pytest.raises(AnalysisError, match=r"'auc' is no metric.*steganalysis_auc"):
        choose(study, "budget:auc <= 0.5", 1)


def test_the_evidence_says_where_on_the_front_and_how_sure(study: Study, whole_study: Path, tmp_path: Path) -> None:
    output = tmp_path / "best.yaml"
    assert main(["select", str(whole_study), "--top", "30", "--output", str(output)]) == 0
    found = yaml.safe_load(output.read_text())["configurations"]
    rows = {int(trial): row for row, trial in enumerate(study.trial)}
    values = np.stack(list(study.objectives.values()), axis=1)[study.feasible]
    front = study.trial[study.feasible][nondominated(values, [True, False, False])].tolist()
    assert [item["trial"] for item in found if item["evidence"]["front"]["on"]] == [
        trial for trial in (item["trial"] for item in found) if trial in front
    ]
    places = [item["evidence"]["front"]["place"] for item in found if item["evidence"]["front"]["on"]]
    assert places == list(range(1, len(front) + 1))
    for item in found:
        row = rows[item["trial"]]
        ssim = item["evidence"]["objectives"]["reconstruction_ssim"]
        assert ssim["low"] < ssim["value"] < ssim["high"]
        for check, margin in item["evidence"]["margins"].items():
            assert margin["margin"] == study.constraints[check][row]
            known = check != "expression"  # whose baseline has no limits here
            assert math.isnan(margin["low"]) is math.isnan(margin["high"]) is not known
            if known:
                assert margin["low"] - 1e-9 <= margin["margin"] <= margin["high"] + 1e-9
            assert margin["verdict"] == study.verdicts[check][row]


def test_limits_of_a_margin_are_those_that_verdicts_are_taken_by(study: Study) -> None:
    auc = study.metrics["steganalysis_auc.high_pass"]
    (constraint,) = (item for item in study.schema.constraints if item.check == "steganalysis")
    (identity,) = (item for item in study.schema.constraints if item.check == "strong_identity")
    assert identity.bound is not None
    row = int(np.flatnonzero(study.feasible)[0])
    low, high = margin_limits(study, constraint, row)
    assert low == pytest.approx((auc.low[row] - 0.6) / 0.05)
    assert high == pytest.approx(min((auc.high[row] - 0.6) / 0.05, 3.0))
    members = [one for one in study.members("strong_identity_accuracy").values() if one.votes[row]]
    worst = max(members, key=lambda one: one.value[row] - one.baseline[row])
    distance, lower, upper = outside(study, identity.bound, row)
    assert distance == pytest.approx(worst.value[row] - worst.baseline[row] - 0.05)
    spread = math.hypot(worst.high[row] - worst.value[row], worst.baseline[row] - worst.baseline_low[row])
    assert upper == pytest.approx(distance + spread)
    assert lower < distance
