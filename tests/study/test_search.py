"""Ask and tell: every outcome against what Optuna holds afterwards."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import optuna
import pytest
from optuna.trial import TrialState

from study.bounds import CLIP
from study.config import StudyConfig
from study.empty import EXPERIMENT
from study.evaluation import Context
from study.objective import Score, score, unmeasured
from study.outcomes import RULES, Outcome, Told
from study.search import Proposal, Search, trial_seed
from study.storage import open_storage

MakeConfig = Callable[..., StudyConfig]


def new_search(config: StudyConfig) -> Search:
    return Search(config, optuna.storages.InMemoryStorage())


def evaluate(config: StudyConfig, proposal: Proposal) -> Score:
    context = Context({}, {}, Path(), Path(), "cpu")
    evaluation = EXPERIMENT.start({**proposal.trial, "epochs": 1}, proposal.seed, context)
    return score(config.objective, EXPERIMENT.metrics, evaluation.step().metrics)


def run_all(config: StudyConfig, search: Search) -> None:
    while (proposal := search.ask()) is not None:
        search.tell(proposal.number, evaluate(config, proposal))


@pytest.mark.parametrize("outcome", list(Outcome))
def test_after_any_outcome_no_trial_is_left_running(make_config: MakeConfig, outcome: Outcome) -> None:
    config = make_config("budget.trials=3")
    search = new_search(config)
    while not search.done:
        proposal = search.ask()
        assert proposal is not None
        result = evaluate(config, proposal)
        search.tell(proposal.number, unmeasured(config.objective, outcome) if RULES[outcome].at_clip else result)
    states = [trial.state for trial in search.study.get_trials()]
    assert TrialState.RUNNING not in states
    assert TrialState.WAITING not in states


@pytest.mark.parametrize("outcome", [outcome for outcome in Outcome if RULES[outcome].at_clip])
def test_optuna_holds_the_state_of_the_table_once_reruns_are_used_up(make_config: MakeConfig, outcome: Outcome) -> None:
    config = make_config("budget.trials=1", "space.starting_points=[]")
    search = new_search(config)
    numbers = []
    while (proposal := search.ask()) is not None:
        numbers.append(proposal.number)
        search.tell(proposal.number, unmeasured(config.objective, outcome))
    assert len(numbers) == 1 + RULES[outcome].reruns
    trials = search.study.get_trials()
    assert all(trials[number].state is TrialState.FAIL for number in numbers[:-1])
    last = trials[numbers[-1]]
    wanted = {Told.COMPLETE: TrialState.COMPLETE, Told.PRUNED: TrialState.PRUNED, Told.FAIL: TrialState.FAIL}
    assert last.state is wanted[RULES[outcome].told]
    assert last.user_attrs["outcome"] == outcome
    if last.state is TrialState.COMPLETE:
        assert last.values == [0.0]  # the worst of the objective
        assert set(last.constraints.values()) == {CLIP}


def test_a_rerun_is_the_same_configuration_under_a_new_number_and_counts_once(make_config: MakeConfig) -> None:
    config = make_config("budget.trials=4")
    search = new_search(config)
    first = search.ask()
    assert first is not None
    crashed = unmeasured(config.objective, Outcome.CRASHED)
    assert search.tell(first.number, crashed)
    assert search.finished == 0
    run_all(config, search)
    trials = search.study.get_trials()
    assert len(trials) == 5
    again = [trial for trial in trials if trial.user_attrs.get("rerun_of") == first.number]
    assert len(again) == 1
    assert again[0].params == trials[first.number].params
    assert search.finished == 4


def test_every_completed_trial_carries_every_constraint_in_sorted_order(
    make_config: MakeConfig, fault_space: dict[str, Any]
) -> None:
    config = make_config("budget.trials=8", edit=lambda values: values.update(space=fault_space))
    search = new_search(config)
    while (proposal := search.ask()) is not None:
        fault = proposal.parameters["fault"]
        unmeasurable = {"diverge": Outcome.DIVERGED, "out_of_memory": Outcome.OUT_OF_MEMORY, "crash": Outcome.CRASHED}
        if fault in unmeasurable:
            result = unmeasured(config.objective, unmeasurable[str(fault)])
        else:
            proposal.trial["fault"] = "none" if fault == "worker_killed" else fault
            result = evaluate(config, proposal)
        search.tell(proposal.number, result)
    completed = search.study.get_trials(states=(TrialState.COMPLETE,))
    assert len(completed) == 7  # all but the crash
    assert all(list(trial.constraints) == ["detectability", "leak"] for trial in completed)


def test_optuna_calls_feasible_exactly_what_we_call_feasible(make_config: MakeConfig) -> None:
    config = make_config("budget.trials=12", "searcher=random")
    search = new_search(config)
    scores = {}
    while (proposal := search.ask()) is not None:
        scores[proposal.number] = evaluate(config, proposal)
        search.tell(proposal.number, scores[proposal.number])
    for trial in search.study.get_trials():
        assert all(value <= 0 for value in trial.constraints.values()) == scores[trial.number].feasible
    assert scores[search.study.best_trial.number].feasible


def test_starting_points_are_tried_first_and_enqueued_once_in_the_life_of_a_storage(
    make_config: MakeConfig, tmp_path: Path
) -> None:
    config = make_config("budget.trials=4")
    search = Search(config, open_storage("", tmp_path))
    first = [search.ask(), search.ask()]
    assert [proposal.parameters for proposal in first if proposal] == list(config.space.starting_points)
    search._enqueue_starting_points()  # as a restart would
    waiting = search.study.get_trials(states=(TrialState.WAITING,))
    assert waiting == []


def test_inactive_parameters_are_not_asked_and_keep_their_default(make_config: MakeConfig) -> None:
    config = make_config("budget.trials=20", "searcher=random")
    search = new_search(config)
    proposals = []
    while (proposal := search.ask()) is not None:
        proposals.append(proposal)
        search.tell(proposal.number, evaluate(config, proposal))
    assert {proposal.parameters["shape"] for proposal in proposals} == {"round", "square"}
    for proposal in proposals:
        assert ("y" in proposal.parameters) == (proposal.parameters["shape"] == "square")
        assert proposal.trial["y"] == proposal.parameters.get("y", 0.0)


def test_a_sampler_that_fails_leaves_no_trial_running(make_config: MakeConfig, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object) -> None:
        raise RuntimeError("no idea")

    search = new_search(make_config("space.starting_points=[]"))
    monkeypatch.setattr(type(search.study.sampler), "sample_independent", fail)
    with pytest.raises(RuntimeError, match="no idea"):
        search.ask()
    assert [trial.state for trial in search.study.get_trials()] == [TrialState.WAITING]


def test_a_trial_that_is_put_back_waits_under_its_number_and_does_not_count(make_config: MakeConfig) -> None:
    search = new_search(make_config("budget.trials=1"))
    proposal = search.ask()
    assert proposal is not None
    search.put_back(proposal.number)
    assert not search.done
    assert search.ask() == proposal


def test_no_more_is_asked_than_the_budget_holds(make_config: MakeConfig) -> None:
    config = make_config("budget.trials=3")
    search = new_search(config)
    proposals = [search.ask() for _ in range(5)]
    assert [proposal is None for proposal in proposals] == [False] * 3 + [True] * 2
    assert not search.done


@pytest.mark.parametrize(
    "searcher", ["tpe", "random", "nsgaii", "qmc", pytest.param("bayesian", marks=pytest.mark.slow)]
)
def test_every_sampler_finds_the_feasible_region_and_is_reproducible(make_config: MakeConfig, searcher: str) -> None:
    def found() -> list[dict[str, Any]]:
        config = make_config(f"searcher={searcher}", "budget.trials=24", "seed=3")
        search = new_search(config)
        run_all(config, search)
        assert search.study.best_trial.user_attrs["outcome"] == Outcome.OK
        return [trial.params for trial in search.study.get_trials()]

    assert found() == found()


def test_several_objectives_are_served_in_their_own_directions(make_config: MakeConfig) -> None:
    def search_both(values: dict[str, Any]) -> None:
        values["objective"]["objectives"]["leak"]["searched"] = True

    config = make_config("budget.trials=12", edit=search_both)
    search = new_search(config)
    run_all(config, search)
    assert [direction.name for direction in search.study.directions] == ["MAXIMIZE", "MINIMIZE"]
    assert all(trial.values is not None and len(trial.values) == 2 for trial in search.study.get_trials())


def test_trial_seeds_differ_between_trials_and_studies_and_repeat() -> None:
    seeds = {trial_seed(study, number) for study in range(5) for number in range(50)}
    assert len(seeds) == 250
    assert trial_seed(3, 7) == trial_seed(3, 7)
    assert all(0 <= seed < 2**31 for seed in seeds)


def test_a_journal_survives_the_process_and_holds_the_constraints(make_config: MakeConfig, tmp_path: Path) -> None:
    config = make_config("budget.trials=3")
    run_all(config, Search(config, open_storage("", tmp_path)))
    again = optuna.load_study(study_name=config.name, storage=open_storage("", tmp_path))
    assert [list(trial.constraints) for trial in again.get_trials()] == [["detectability", "leak"]] * 3


def test_a_configuration_is_not_asked_twice_while_there_are_others(make_config: MakeConfig) -> None:
    parameters = [
        {
            "name": "x",
            "kind": "categorical",
            "values": [0.1, 0.2, 0.3],
            "role": "scientific",
            "unit": "1",
            "reason": "r",
        },
        {
            "name": "shape",
            "kind": "categorical",
            "values": ["round", "square"],
            "role": "nuisance",
            "unit": "1",
            "reason": "r",
        },
    ]
    space = {"parameters": parameters, "strata": []}
    config = make_config("budget.trials=8", edit=lambda values: values.update(space=space))
    search, asked = new_search(config), []
    while (proposal := search.ask()) is not None:
        asked.append(tuple(sorted(proposal.parameters.items())))
        search.tell(proposal.number, evaluate(config, proposal))
    assert len(set(asked[:6])) == 6  # all there are
    assert len(asked) == 8  # then the budget is met with repeats
    assert TrialState.RUNNING not in [trial.state for trial in search.study.get_trials()]


def test_a_combination_that_the_experiment_refuses_is_skipped_and_never_counts(
    make_config: MakeConfig, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = make_config("budget.trials=12", "space.starting_points=[]")
    monkeypatch.setattr(EXPERIMENT, "problems", lambda trial, data: ["too far"] * (trial["x"] > 0.5), raising=False)
    search = new_search(config)
    run_all(config, search)
    refused = [trial for trial in search.study.get_trials() if trial.user_attrs.get("outcome") == "refused"]
    complete = [trial for trial in search.study.get_trials() if trial.state is TrialState.COMPLETE]
    counted = [trial for trial in complete if trial not in refused]
    assert len(counted) == 12
    assert all(trial.params["x"] <= 0.5 for trial in counted)
    assert refused


def test_what_is_refused_is_told_as_infeasible_so_that_the_sampler_keeps_away(
    make_config: MakeConfig, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = make_config("budget.trials=12", "space.starting_points=[]")
    monkeypatch.setattr(EXPERIMENT, "problems", lambda trial, data: ["too far"] * (trial["x"] > 0.5), raising=False)
    search = new_search(config)
    run_all(config, search)
    refused = [trial for trial in search.study.get_trials() if trial.user_attrs.get("outcome") == "refused"]
    assert refused
    for trial in refused:
        assert trial.state is TrialState.COMPLETE
        assert trial.constraints == dict.fromkeys(("detectability", "leak"), CLIP)
        assert trial.values == [objective.worst for objective in config.objective.searched]
    assert search.finished == 12


def test_a_space_in_which_everything_is_refused_ends_with_the_reason(
    make_config: MakeConfig, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = make_config("space.starting_points=[]")
    monkeypatch.setattr(EXPERIMENT, "problems", lambda trial, data: ["no room at all"], raising=False)
    search = new_search(config)
    with pytest.raises(RuntimeError, match="no room at all"):
        search.ask()
    assert search.running == 0
