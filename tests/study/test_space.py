"""Search spaces: conditions, domains, and what is refused before anything starts."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import optuna
import pytest

from study.config import ConfigError, StudyConfig
from study.empty import EXPERIMENT
from study.space import Space, read_space

MakeConfig = Callable[..., StudyConfig]
BASE = {**EXPERIMENT.defaults(), "group": {"family": "keyed", "weight": 0.1, "bits": 4}}


def entry(name: str, **fields: Any) -> dict[str, Any]:
    common = {"name": name, "kind": "float", "role": "scientific", "unit": "1", "reason": "test"}
    numbers = {"low": 0.1, "high": 1.0} if fields.get("kind", "float") != "categorical" else {}
    return {**common, **numbers, **fields}


def read(*entries: Mapping[str, Any], **group: Any) -> tuple[Space, list[str]]:
    problems: list[str] = []
    space = read_space({"parameters": list(entries), **group}, EXPERIMENT, BASE, {}, problems, {})
    return space, problems


FAMILY = entry("group.family", kind="categorical", values=["keyed", "learned"])
WEIGHT = entry("group.weight", when={"group.family": ["learned"]})
BITS = entry("group.bits", kind="int", low=1, high=8, log=True, when={"group.family": ["keyed"]})


def test_a_good_space_has_no_problems() -> None:
    space, problems = read(FAMILY, WEIGHT, BITS, starting_points=[{"group.family": "learned"}], strata=["group.family"])
    assert problems == []
    assert [parameter.name for parameter in space.parameters] == ["group.family", "group.weight", "group.bits"]


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"low": 2.0, "high": 1.0}, "low=2 is above high=1"),
        ({"low": 0.0, "log": True}, "low=0 must be > 0 on a logarithmic scale"),
        ({"low": -1.0, "log": True}, "must be > 0 on a logarithmic scale"),
        ({"log": True, "step": 0.1}, "cannot be combined with log"),
        ({"step": 0}, "step=0 must be > 0"),
        ({"kind": "int", "low": 0.5}, "must be whole numbers"),
        ({"kind": "categorical"}, "values=None must be a list"),
        ({"kind": "categorical", "values": [1, 1]}, "holds a value twice"),
        ({"kind": "categorical", "values": [[1]]}, "text, numbers or true/false only"),
        ({"kind": "gaussian"}, "'gaussian' is unknown; permitted: categorical, int, float"),
        ({"role": "science"}, "'science' is unknown; permitted: scientific, nuisance, fixed"),
        ({"reason": None}, "reason=None must be text"),
        ({"lowest": 0.1}, "lowest is no option; did you mean 'low'?"),
        ({"name": "group.wieght"}, "no field of the trial configuration; did you mean 'group.weight'"),
        ({"when": {"group.familly": ["keyed"]}}, "no earlier parameter; did you mean 'group.family'"),
        ({"role": "fixed"}, "role fixed needs kind categorical with one value"),
    ],
)
def test_a_wrong_entry_is_named_with_what_is_permitted(fields: dict[str, Any], words: str) -> None:
    _, problems = read(entry(**{"name": "group.weight", **fields}))
    assert any(words in problem for problem in problems), problems


def test_all_wrong_entries_are_reported_at_once() -> None:
    _, problems = read(entry("x", low=2.0), entry("y", kind="gaussian"), entry("nothing"))
    text = "\n".join(problems)
    assert "parameters[0] (x)" in text
    assert "'gaussian'" in text
    assert "(nothing)" in text


def test_a_condition_on_a_later_parameter_or_an_impossible_value_is_refused() -> None:
    _, problems = read(WEIGHT, FAMILY)
    assert any("comes later; move it before" in problem for problem in problems)
    _, problems = read(FAMILY, entry("group.weight", when={"group.family": ["lerned"]}))
    assert any("'lerned' never holds; permitted: keyed, learned" in problem for problem in problems)


def test_a_value_that_the_experiment_does_not_permit_is_found_at_either_end() -> None:
    _, problems = read(entry("x", low=-0.5, high=2.0))
    assert len(problems) == 2
    assert "permits -0.5, but trial.x=-0.5 must be in [0, 1]" in problems[0]
    assert "permits 2.0, but trial.x=2.0" in problems[1]


@pytest.mark.parametrize(
    ("point", "words"),
    [
        ({"group.famly": "keyed"}, "no parameter of this space; did you mean 'group.family'?"),
        ({"group.family": "sampled"}, "'sampled' is outside; permitted: keyed, learned"),
        ({"group.family": "learned", "group.weight": 3.0}, "group.weight=3.0 is outside; permitted: float in [0.1, 1]"),
        ({"group.family": "keyed", "group.weight": 0.5}, "only active when group.family in ['learned']"),
        ({"group.family": "keyed", "group.bits": 2.5}, "is outside; permitted: int in [1, 8], log"),
    ],
)
def test_a_starting_point_outside_of_the_space_is_named(point: dict[str, Any], words: str) -> None:
    _, problems = read(FAMILY, WEIGHT, BITS, starting_points=[{"group.family": "keyed"}, point])
    assert len(problems) == 1
    assert "starting_points[1]" in problems[0]
    assert words in problems[0]


def test_conditions_decide_what_is_asked() -> None:
    space, _ = read(FAMILY, WEIGHT, BITS)
    study = optuna.create_study(sampler=optuna.samplers.RandomSampler(seed=0))
    for _ in range(20):
        values = space.suggest(study.ask(), BASE)
        own = "group.weight" if values["group.family"] == "learned" else "group.bits"
        assert set(values) == {"group.family", own}


def test_a_condition_may_depend_on_a_field_that_is_not_searched() -> None:
    space, problems = read(WEIGHT, BITS)
    assert problems == []
    assert space.active({}, BASE) == {"group.bits"}  # the base configuration is keyed


def test_a_child_of_an_inactive_parameter_is_inactive() -> None:
    child = entry("x", when={"group.weight": [0.1]})
    space, _ = read(FAMILY, WEIGHT, child)
    assert "x" not in space.active({"group.family": "keyed", "group.weight": 0.1}, BASE)


def test_asked_values_lie_in_the_domain_they_were_read_from() -> None:
    stepped = entry("x", low=0.0, high=1.0, step=0.25)
    whole = entry("epochs", kind="int", low=1, high=9, step=2)
    space, problems = read(stepped, whole, FAMILY)
    assert problems == []
    study = optuna.create_study(sampler=optuna.samplers.RandomSampler(seed=0))
    for _ in range(30):
        values = space.suggest(study.ask(), BASE)
        assert space.point_problems("point", values, BASE) == []
    outside = {"x": 0.3, "epochs": 2, "group.family": "none"}
    assert len(space.point_problems("point", outside, BASE)) == 3


def test_true_is_not_one() -> None:
    space, _ = read(entry("epochs", kind="categorical", values=[1, 2]))
    assert space.point_problems("point", {"epochs": True}, BASE)


def test_a_fixed_parameter_is_asked_no_more_and_contradicting_starting_points_go() -> None:
    points = [{"group.family": "keyed"}, {"group.family": "learned"}]
    space, _ = read(FAMILY, WEIGHT, BITS, starting_points=points)
    fixed = space.fixed({"group.family": "learned"})
    study = optuna.create_study(sampler=optuna.samplers.RandomSampler(seed=0))
    assert {fixed.suggest(study.ask(), BASE)["group.family"] for _ in range(10)} == {"learned"}
    assert fixed.starting_points == ({"group.family": "learned"},)
    assert fixed.parameters[0].role == "fixed"


def test_a_field_set_on_the_command_line_is_fixed_and_not_searched(make_config: MakeConfig) -> None:
    config = make_config("trial.shape=square", "trial.seconds=0.1")
    by_name = {parameter.name: parameter for parameter in config.space.parameters}
    assert by_name["shape"].values == ("square",)
    assert by_name["shape"].role == "fixed"
    assert by_name["x"].role == "scientific"
    assert config.trial["seconds"] == 0.1
    assert config.resolved["fixed"] == {"shape": "square"}


def test_a_fixed_value_is_held_against_the_experiment(make_config: MakeConfig) -> None:
    with pytest.raises(ConfigError, match=r"trial.x=1.5 must be in \[0, 1\]"):
        make_config("trial.x=1.5")


def test_a_stratum_that_is_not_searched_is_recorded_with_its_value() -> None:
    space, problems = read(WEIGHT | {"when": {}}, strata=["group.family"])
    assert problems == []
    assert space.suggest(optuna.create_study().ask(), BASE)["group.family"] == "keyed"
    assert [parameter.role for parameter in space.parameters if parameter.name == "group.family"] == ["fixed"]


class Refusing:
    """An experiment that refuses a combination and a value."""

    def problems(self, trial: Mapping[str, Any], data: Mapping[str, Any]) -> list[str]:
        group = trial["group"]
        found = ["learned cannot carry 8 bits"] if group["family"] == "learned" and group["bits"] == 8 else []
        return found + (["1 bit is too few"] if group["bits"] == 1 else [])


@pytest.mark.parametrize(
    ("low", "base", "expected"),
    [
        (2, {}, []),
        (1, {}, ["space.parameters (group.bits) permits 1, but 1 bit is too few"]),
        (2, {"bits": 1}, []),  # the space never leaves it at that
        (2, {"family": "learned", "bits": 8}, []),
    ],
)
def test_only_what_no_other_choice_makes_possible_is_a_problem(
    low: int, base: dict[str, Any], expected: list[str]
) -> None:
    problems: list[str] = []
    bits = entry("group.bits", kind="int", low=low, high=8)
    trial = {**BASE, "group": BASE["group"] | base}
    read_space({"parameters": [FAMILY, bits]}, Refusing(), trial, {}, problems, {})  # type: ignore[arg-type]
    assert problems == expected


def test_a_base_configuration_that_no_choice_makes_possible_is_a_problem() -> None:
    problems: list[str] = []
    trial = {**BASE, "group": BASE["group"] | {"bits": 1}}
    read_space({"parameters": [FAMILY]}, Refusing(), trial, {}, problems, {})  # type: ignore[arg-type]
    assert problems == ["1 bit is too few"]


def test_a_starting_point_that_is_refused_is_a_problem() -> None:
    problems: list[str] = []
    point = {"group.family": "learned", "group.bits": 8}
    group = {"parameters": [FAMILY, BITS | {"when": {}}], "starting_points": [point]}
    read_space(group, Refusing(), BASE, {}, problems, {})  # type: ignore[arg-type]
    assert "space.starting_points[0]: learned cannot carry 8 bits" in problems


def test_a_value_is_refused_for_reasons_of_its_own_where_it_has_some() -> None:
    class Both:
        def problems(self, trial: Mapping[str, Any], data: Mapping[str, Any]) -> list[str]:
            group = trial["group"]
            found = ["learned is off"] if group["family"] == "learned" else []
            return found + (["1 bit is too few"] if group["bits"] == 1 and group["family"] == "keyed" else [])

    problems: list[str] = []
    trial = {**BASE, "group": BASE["group"] | {"family": "learned"}}
    space = {"parameters": [FAMILY, entry("group.bits", kind="int", low=1, high=8)]}
    read_space(space, Both(), trial, {}, problems, {})  # type: ignore[arg-type]
    assert "space.parameters (group.bits) permits 1, but 1 bit is too few" in problems
    assert not any("group.bits" in problem and "learned is off" in problem for problem in problems)
