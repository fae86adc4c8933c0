"""A study that starts from the trials of earlier ones: which of them it takes, and what they are to it."""

from __future__ import annotations

import io
import json
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import optuna
import pyarrow.parquet as pq
import pytest
import yaml
from optuna.trial import FrozenTrial, TrialState

from study.bounds import CLIP
from study.cli import OK, main
from study.compose import compose_config
from study.config import ConfigError, StudyConfig, read_config
from study.earlier import EARLIER, EARLIER_TRIAL, WARM_START, EarlierTrial, WarmStart
from study.empty import EXPERIMENT
from study.evaluation import Context
from study.objective import score
from study.progress import Progress
from study.records import read_parts
from study.resume import resumed_config
from study.search import Search
from study.storage import open_storage
from study.warm_start import _with_defaults
from tests.study.in_process import evaluate_all

MakeConfig = Callable[..., StudyConfig]
Edit = Callable[[dict[str, Any]], Any]


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the folder of a finished study of 12 trials over x, y and shape; not to be changed."""
    folder = tmp_path_factory.mktemp("finished") / "study"
    overrides = ["experiment=empty", "budget.trials=12", "searcher=random", "seed=1", "name=before"]
    composed = compose_config([*overrides, f"output={folder}", f"cache={folder}/cache"])
    evaluate_all(read_config(composed.values, composed.fixed, composed.problems))
    return folder


@pytest.fixture
def earlier(finished: Path, tmp_path: Path) -> Path:
    """Return a copy of it, where ``make_config`` would put its own."""
    shutil.copytree(finished, tmp_path / "study")
    return tmp_path / "study"


@pytest.fixture
def warm(tmp_path: Path, earlier: Path) -> Callable[..., StudyConfig]:
    """Return a function that resolves a study which starts from the earlier one."""

    def make(*overrides: str, edit: Edit = lambda values: None) -> StudyConfig:
        composed = compose_config(
            [f"output={tmp_path}/second", f"cache={tmp_path}/cache", "experiment=empty", "name=second"]
            + [f"warm_start={earlier}" for _ in range(not any(item.startswith("warm_start") for item in overrides))]
            + list(overrides)
        )
        edit(composed.values)
        return read_config(composed.values, composed.fixed, composed.problems)

    return make


def set_parameter(name: str, **fields: Any) -> Edit:
    """Return an edit of one parameter of the space; its starting points go."""

    def edit(values: dict[str, Any]) -> None:
        values["space"]["starting_points"] = []
        next(entry for entry in values["space"]["parameters"] if entry["name"] == name).update(fields)

    return edit


def without_parameter(name: str) -> Edit:
    def edit(values: dict[str, Any]) -> None:
        space = values["space"]
        space["starting_points"] = []
        space["parameters"] = [entry for entry in space["parameters"] if entry["name"] != name]

    return edit


def stored(config: StudyConfig) -> list[FrozenTrial]:
    return optuna.load_study(study_name=config.name, storage=open_storage("", config.output)).get_trials()


def added(config: StudyConfig) -> list[FrozenTrial]:
    return [trial for trial in stored(config) if EARLIER in trial.user_attrs]


def test_every_finished_trial_is_known_with_its_objectives_and_margins(
    warm: Callable[..., StudyConfig], earlier: Path
) -> None:
    config = warm("budget.trials=3")
    evaluate_all(config)
    rows = read_parts(earlier)
    assert len(rows) == len(added(config)) == 12
    for row, trial in zip(rows, added(config), strict=True):
        assert trial.state is TrialState.COMPLETE
        assert trial.values == [row["objective.quality"]]
        assert trial.constraints == {name: row[f"constraint.{name}"] for name in ("detectability", "leak")}
        recorded = {name: row[f"param.{name}"] for name in ("shape", "x", "y")}
        assert trial.params == {name: value for name, value in recorded.items() if value is not None}
        assert trial.user_attrs[EARLIER_TRIAL] == f"trial {row['trial']} of before"


def test_they_are_neither_counted_nor_recorded_and_never_win(warm: Callable[..., StudyConfig], earlier: Path) -> None:
    config, stream = warm("budget.trials=4", "searcher=random"), io.StringIO()
    assert evaluate_all(config, Progress(config.objective, 4, stream=stream))
    known = {trial.number for trial in added(config)}
    numbers = [row["trial"] for row in read_parts(config.output)]
    assert len(numbers) == 4
    assert not set(numbers) & known
    assert min(numbers) >= 12
    merged = pq.read_table(config.output / "trials.parquet").to_pylist()
    assert [row["trial"] for row in merged] == numbers
    assert {path.name for path in (config.output / "artifacts").iterdir()} == set(map(str, numbers))
    printed = stream.getvalue()
    assert f"warm_start={earlier}: 12 of 12 finished trials lie in this space\n" in printed
    assert "[4/4]" in printed
    best = max((row for row in merged if row["feasible"]), key=lambda row: row["objective.quality"])
    assert f"(trial {best['trial']})" in printed.splitlines()[-1]


def test_their_configurations_are_not_asked_again(warm: Callable[..., StudyConfig], earlier: Path) -> None:
    few = set_parameter("x", kind="categorical", values=[0.2, 0.4], low=None, high=None)

    def small(values: dict[str, Any]) -> None:
        few(values)
        del values["space"]["parameters"][1]["low"], values["space"]["parameters"][1]["high"]
        values["space"]["parameters"] = values["space"]["parameters"][:2]

    first = warm("warm_start=null", "budget.trials=3", "searcher=random", edit=small)
    evaluate_all(first)
    shutil.move(first.output, first.output.with_name("first"))
    second = warm(f"warm_start={first.output.with_name('first')}", "budget.trials=1", "searcher=random", edit=small)
    evaluate_all(second)
    asked = [*read_parts(first.output.with_name("first")), *read_parts(second.output)]
    assert len({(row["param.shape"], row["param.x"]) for row in asked}) == 4  # all there are


@pytest.mark.parametrize("searcher", ["random", "qmc"])
def test_the_same_seed_does_not_draw_what_the_earlier_study_drew(
    warm: Callable[..., StudyConfig], searcher: str
) -> None:
    """Draws that are known are skipped; a sampler that began again would lose its first 12 here."""
    first = warm("warm_start=null", "budget.trials=12", f"searcher={searcher}", "space.starting_points=[]")
    evaluate_all(first)
    folder = first.output.with_name("first")
    shutil.move(first.output, folder)
    second = warm(f"warm_start={folder}", "budget.trials=4", f"searcher={searcher}", "space.starting_points=[]")
    evaluate_all(second)
    assert not [trial for trial in stored(second) if trial.state is TrialState.FAIL]


def test_points_that_the_user_chose_are_tried_though_they_are_known_and_those_of_the_space_are_not(
    warm: Callable[..., StudyConfig], earlier: Path, tmp_path: Path
) -> None:
    config = warm("budget.trials=2")
    assert [row["param.x"] for row in read_parts(earlier)[:2]] == [0.5, 0.9]  # the space's own points
    evaluate_all(config)
    assert not {0.5, 0.9} & {row["param.x"] for row in read_parts(config.output)}
    shutil.rmtree(config.output)
    best = tmp_path / "best.yaml"
    best.write_text(yaml.safe_dump({"configurations": [{"parameters": {"shape": "round", "x": 0.5}}]}))
    evaluate_all(warm("budget.trials=1", f"starting_points={best}"))
    assert [row["param.x"] for row in read_parts(config.output)] == [0.5]


def test_a_narrower_space_takes_the_trials_inside_and_says_why_not_the_others(
    warm: Callable[..., StudyConfig], earlier: Path
) -> None:
    config = warm(edit=set_parameter("x", low=0.4, high=0.8))
    inside = [row["param.x"] for row in read_parts(earlier) if 0.4 <= row["param.x"] <= 0.8]
    assert 0 < len(inside) < 12
    assert [trial.parameters["x"] for trial in config.warm_start.trials] == inside
    note = config.warm_start.notes[0]
    assert f"{len(inside)} of 12 finished trials lie in this space; {12 - len(inside)} do not: x=" in note
    assert f"is outside float in [0.4, 0.8] ({12 - len(inside)})" in note


def test_a_parameter_that_is_no_longer_searched_must_have_the_value_it_is_set_to(
    warm: Callable[..., StudyConfig], earlier: Path
) -> None:
    config = warm("trial.shape=round")
    rounds = [row for row in read_parts(earlier) if row["param.shape"] == "round"]
    assert [trial.number for trial in config.warm_start.trials] == [row["trial"] for row in rounds]
    assert f"shape=square is outside round ({12 - len(rounds)})" in config.warm_start.notes[0]
    gone = warm(edit=without_parameter("y"))  # which is then 0, and without effect where it was inactive
    assert [trial.number for trial in gone.warm_start.trials] == [row["trial"] for row in rounds]
    assert "is not 0.0, as it is set here" in gone.warm_start.notes[0]


def test_a_parameter_that_the_earlier_study_did_not_search_has_the_value_it_was_set_to(
    make_config: MakeConfig, warm: Callable[..., StudyConfig], earlier: Path
) -> None:
    shutil.rmtree(earlier)
    evaluate_all(make_config("budget.trials=4", "trial.y=0.25", "seed=1", edit=without_parameter("y")))
    shapes = [row["param.shape"] for row in read_parts(earlier)]
    assert set(shapes) == {"round", "square"}
    config = warm()
    # A round trial here has y = 0, so those with another y are none of this space.
    assert [trial.parameters["y"] for trial in config.warm_start.trials] == [0.25] * shapes.count("square")
    assert f"y=0.25 is not 0.0, as it is set here ({shapes.count('round')})" in config.warm_start.notes[0]


def test_inactive_parameters_are_left_out_by_the_conditions_of_the_new_space(
    warm: Callable[..., StudyConfig], earlier: Path
) -> None:
    config = warm(edit=set_parameter("y", when={}))
    rows = read_parts(earlier)
    assert [trial.parameters["y"] for trial in config.warm_start.trials] == [row["param.y"] or 0.0 for row in rows]


@pytest.mark.parametrize(
    ("override", "difference"),
    [
        ("trial.epochs=3", "trial.epochs was 2, is 3"),
        ("checks.bounds.leak.scale=0.1", "checks.bounds.leak.scale was 0.05, is 0.1"),
        (
            "checks.bounds.leak.bound=leak <= 0.9",
            "checks.bounds.leak.bound was leak <= baseline + 0.05, is leak <= 0.9",
        ),
        ("~checks.bounds.leak", "checks.bounds.leak.bound was leak <= baseline + 0.05, is absent"),
        ("+checks.adversaries.steps=5", "checks.adversaries.steps was absent, is 5"),
        ("objective.objectives.quality.metric=detectability", "objective.quality.metric was quality, is detectability"),
        ("objective.objectives.quality.direction=minimise", "objective.quality.direction was maximise, is minimise"),
        ("data=procedural", "data.size was absent, is"),
    ],
)
def test_an_incompatible_study_is_refused_with_what_differs(
    warm: Callable[..., StudyConfig], earlier: Path, override: str, difference: str
) -> None:
    with pytest.raises(ConfigError) as caught:
        warm(override)
    assert any(problem.startswith(f"warm_start={earlier}: {difference}") for problem in caught.value.problems), (
        caught.value.problems
    )


@pytest.mark.parametrize("override", ["seed=9", "searcher=random", "budget.trials=5", "checkpoint_every=1"])
def test_what_leaves_the_figures_comparable_may_differ(warm: Callable[..., StudyConfig], override: str) -> None:
    assert len(warm(override).warm_start.trials) == 12


def test_an_empty_list_is_no_warm_start(make_config: MakeConfig) -> None:
    config = make_config("warm_start=[]", "budget.trials=1")
    assert evaluate_all(config)
    assert resumed_config(config.output, []).warm_start == WarmStart()


def test_a_setting_that_the_earlier_study_does_not_name_had_its_default() -> None:
    split = {"train": 0.6, "validation": 0.2, "test": 0.2, "seed": 0}
    named = {"kind": "procedural", "split": split | {"by": "image", "duplicates": "refuse"}}
    assert _with_defaults({"kind": "procedural", "split": split}) == _with_defaults(named)


def search_leak_too(values: dict[str, Any]) -> None:
    values["objective"]["objectives"]["leak"]["searched"] = True


def test_an_objective_that_was_only_recorded_may_be_searched_now(
    warm: Callable[..., StudyConfig], earlier: Path
) -> None:
    config = warm("budget.trials=1", edit=search_leak_too)
    evaluate_all(config)
    for row, trial in zip(read_parts(earlier), added(config), strict=True):
        assert trial.values == [row["objective.quality"], row["objective.leak"]]
        assert list(trial.constraints) == ["detectability"]  # what is searched for is no constraint


def test_a_check_whose_metric_was_searched_for_has_no_margin_and_is_refused(
    make_config: MakeConfig, warm: Callable[..., StudyConfig], earlier: Path
) -> None:
    shutil.rmtree(earlier)
    evaluate_all(make_config("budget.trials=2", edit=search_leak_too))
    with pytest.raises(ConfigError, match=r"constraint\.leak was searched for, is bounded"):
        warm()


def test_only_outcomes_that_tell_of_a_configuration_are_taken_and_unmeasured_ones_stand_at_the_clip(
    make_config: MakeConfig, warm: Callable[..., StudyConfig], earlier: Path, fault_space: dict[str, Any]
) -> None:
    shutil.rmtree(earlier)
    faults = [fault for fault in fault_space["parameters"][1]["values"] if fault != "worker_killed"]
    points = [{"x": 0.5, "fault": fault} for fault in faults]
    space = {**fault_space, "starting_points": points}
    evaluate_all(make_config("budget.trials=7", edit=lambda values: values.update(space=space)))
    config = warm("budget.trials=1", edit=lambda values: values.update(space={**space, "starting_points": []}))
    taken = {trial.parameters["fault"]: trial for trial in config.warm_start.trials}
    assert set(taken) == {"none", "diverge", "nan_metric", "absent_metric", "nan_objective"}
    assert len(config.warm_start.trials) == 5
    assert "4 more ended without a result (" in config.warm_start.notes[0]
    assert "crashed 2" in config.warm_start.notes[0]
    assert "out of memory 2" in config.warm_start.notes[0]

    def leak_searched(values: dict[str, Any]) -> None:
        values.update(space={**space, "starting_points": []})
        search_leak_too(values)

    both = {trial.parameters["fault"]: trial for trial in warm(edit=leak_searched).warm_start.trials}
    assert both["nan_metric"].values["leak"] is None  # an objective here: the trial as a whole was not measured
    assert both["nan_metric"].margins == {"detectability": CLIP}
    assert both["none"].margins["detectability"] < CLIP
    evaluate_all(config)
    told = {trial.params["fault"]: trial for trial in added(config)}
    assert all(value <= 0 for value in told["none"].constraints.values())
    for fault in ("diverge", "nan_objective"):
        assert told[fault].values == [0.0]  # the worst of the objective
        assert set(told[fault].constraints.values()) == {CLIP}
    for fault in ("nan_metric", "absent_metric"):  # only the check that was not measured
        assert told[fault].constraints["leak"] == CLIP
        assert told[fault].constraints["detectability"] < CLIP


def test_several_studies_are_taken_each_once(warm: Callable[..., StudyConfig], earlier: Path, tmp_path: Path) -> None:
    shutil.copytree(earlier, tmp_path / "other")
    for given in (f"warm_start=[{earlier},{tmp_path}/other]", f"warm_start={earlier},{tmp_path}/other,{earlier}"):
        config = warm(given)
        assert len(config.warm_start.trials) == 24
        assert len(config.warm_start.notes) == 2


def test_nothing_usable_is_an_error_with_the_reasons(warm: Callable[..., StudyConfig], earlier: Path) -> None:
    with pytest.raises(ConfigError, match=r"0 of 12 finished trials lie in this space; 12 do not: x=.* \(12\); leave"):
        warm(edit=set_parameter("x", low=0.0, high=1e-9))


def test_all_that_is_wrong_with_the_folders_is_named_at_once(
    warm: Callable[..., StudyConfig], earlier: Path, tmp_path: Path
) -> None:
    shutil.copytree(earlier, tmp_path / "empty")
    shutil.rmtree(tmp_path / "empty" / "parts")
    (tmp_path / "empty" / "trials.parquet").unlink()
    shutil.copytree(earlier, tmp_path / "torn")
    (tmp_path / "torn" / "parts" / "00003.parquet").write_bytes(b"PAR1")
    shutil.copytree(earlier, tmp_path / "newer")
    table = pq.read_table(earlier / "parts" / "00000.parquet")
    metadata = {**json.loads(table.schema.metadata[b"study"]), "schema_version": 99}
    pq.write_table(
        table.replace_schema_metadata({"study": json.dumps(metadata)}), tmp_path / "newer" / "parts" / "00000.parquet"
    )
    folders = [tmp_path / name for name in ("nowhere", "empty", "torn", "newer")]
    with pytest.raises(ConfigError) as caught:
        warm(f"warm_start=[{','.join(map(str, folders))}]", "budget.trials=0")
    problems = "\n".join(caught.value.problems)
    assert f"warm_start={tmp_path}/nowhere: no study was started there" in problems
    assert f"warm_start={tmp_path}/empty: no trial of it is finished" in problems
    assert "00003.parquet cannot be used" in problems
    assert "schema version 99, this program reads 1" in problems
    assert "budget.trials" in problems
    with pytest.raises(ConfigError, match="must be the folder of a study, or a list"):
        warm("warm_start=3")


def test_merged_records_do_where_the_parts_are_gone(warm: Callable[..., StudyConfig], earlier: Path) -> None:
    with_parts = warm().warm_start
    shutil.rmtree(earlier / "parts")
    assert warm().warm_start == with_parts


def test_a_study_whose_images_are_others_is_refused(
    warm: Callable[..., StudyConfig], earlier: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    described = json.loads((earlier / "environment.json").read_text())
    (earlier / "environment.json").write_text(json.dumps({**described, "data": "of other images"}))
    with pytest.raises(ConfigError, match="the images or labels are not those of the earlier study"):
        warm()


def test_the_study_needs_the_earlier_one_no_more_once_it_was_started(
    warm: Callable[..., StudyConfig], earlier: Path
) -> None:
    config = warm("budget.trials=3")
    with pytest.raises(KeyboardInterrupt):
        evaluate_all(config, die_after=1)
    shutil.rmtree(earlier)
    resumed = resumed_config(config.output, [])
    assert resumed.warm_start.trials == config.warm_start.trials
    assert evaluate_all(resumed)
    assert len(added(config)) == 12
    assert len(read_parts(config.output)) == 3
    with pytest.raises(ConfigError, match=r"warm_start was .*; that would be another study"):
        resumed_config(config.output, [f"warm_start={earlier}/other"])
    (config.output / WARM_START).unlink()
    with pytest.raises(ConfigError, match=r"warm_start\.json cannot be read"):
        resumed_config(config.output, [])


@pytest.mark.parametrize("after", [0, 1, 11])
def test_a_driver_that_died_while_adding_them_adds_the_rest_on_resuming(
    warm: Callable[..., StudyConfig], monkeypatch: pytest.MonkeyPatch, after: int
) -> None:
    config = warm("budget.trials=3")
    add, calls = optuna.Study.add_trial, list[int]()

    def dies(study: optuna.Study, trial: FrozenTrial) -> None:
        if len(calls) == after:
            raise KeyboardInterrupt
        calls.append(trial.number)
        add(study, trial)

    with monkeypatch.context() as patched:
        patched.setattr(optuna.Study, "add_trial", dies)
        with pytest.raises(KeyboardInterrupt):
            evaluate_all(config)
    assert len(added(config)) == after
    assert evaluate_all(resumed_config(config.output, []))
    assert [trial.user_attrs[EARLIER] for trial in added(config)] == list(range(12))
    again = Search(resumed_config(config.output, []), open_storage("", config.output), folder_id(config))
    assert len(again.study.get_trials()) == len(stored(config))
    assert again.finished == 3


def folder_id(config: StudyConfig) -> str:
    return str(json.loads((config.output / "environment.json").read_text())["id"])


def test_tpe_proposes_near_what_was_good_in_the_earlier_study(make_config: MakeConfig) -> None:
    """The best feasible x is 0.55; without the earlier trials the first proposals are uniform."""
    cold = make_config("budget.trials=8", "searcher=tpe", "space.starting_points=[]")
    known = []
    for number in range(40):
        x = (number + 0.5) / 40
        values, margins = {"quality": 1 - (x - 0.7) ** 2}, {"leak": (x - 0.55) / 0.05, "detectability": (x - 0.8) / 0.5}
        known.append(EarlierTrial("before", number, {"shape": "round", "x": x}, values, margins))

    def distance(config: StudyConfig) -> float:
        """Return the mean distance of eight proposals, each told before the next."""
        search, found = Search(config, optuna.storages.InMemoryStorage()), []
        while (proposal := search.ask()) is not None:
            evaluation = EXPERIMENT.start({**proposal.trial, "epochs": 1}, 0, Context({}, {}, Path(), Path(), "cpu"))
            search.tell(proposal.number, score(config.objective, EXPERIMENT.metrics, evaluation.step().metrics))
            found.append(abs(float(proposal.parameters["x"]) - 0.55))
        assert len(found) == 8
        return sum(found) / 8

    assert distance(replace(cold, warm_start=WarmStart(tuple(known)))) < 0.1 < 0.2 < distance(cold)


def test_nsgaii_takes_them_as_its_first_generation(make_config: MakeConfig, warm: Callable[..., StudyConfig]) -> None:
    config = warm("budget.trials=1", "searcher=nsgaii", "searcher.population_size=8", "space.starting_points=[]")
    evaluate_all(config)
    own = [trial for trial in stored(config) if EARLIER not in trial.user_attrs]
    assert [trial.system_attrs["NSGAIISampler:generation"] for trial in own] == [1]


def test_a_dry_run_says_what_would_be_taken(earlier: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    arguments = ["experiment=empty", f"warm_start={earlier}", f"output={tmp_path}/second", "dry_run=true"]
    assert main(arguments) == OK
    assert "12 of 12 finished trials lie in this space" in capsys.readouterr().out
    assert not (tmp_path / "second").exists()
