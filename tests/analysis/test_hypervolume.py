"""Feasible hypervolume: closed forms, a Monte Carlo oracle, and what the curve of a study promises."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from analysis.hypervolume import (
    MOST_STEPS,
    box_of,
    device_share,
    dominated_volume,
    running_volume,
    scaled,
    volume_curve,
    volume_objectives,
)
from analysis.records import load_study

MakeStudy = Callable[..., Path]


def test_a_staircase_has_the_area_under_its_steps() -> None:
    costs = np.array([[0.0, 0.5], [0.5, 0.0], [0.75, 0.75], [0.5, 0.0]])
    assert dominated_volume(costs) == pytest.approx(0.75)
    assert dominated_volume(np.array([[0.25], [0.5]])) == pytest.approx(0.75)
    assert dominated_volume(np.array([[0.5, 0.5, 0.5], [0.0, 0.5, 0.75]])) == pytest.approx(0.125 + 0.5 * 0.5 * 0.25)
    assert dominated_volume(np.array([[1.0, 0.0]])) == 0.0


@pytest.mark.parametrize("objectives", [2, 3])
@pytest.mark.parametrize("seed", range(4))
def test_volume_agrees_with_counting_the_cells_of_a_grid(objectives: int, seed: int) -> None:
    levels = 6
    costs = np.random.default_rng(seed).integers(0, levels + 1, (25, objectives)) / levels
    cells = (np.stack(np.meshgrid(*[np.arange(levels)] * objectives), -1).reshape(-1, objectives) + 0.5) / levels
    counted = (costs[None] <= cells[:, None]).all(axis=2).any(axis=1).mean()
    assert dominated_volume(costs) == pytest.approx(counted)


@pytest.mark.parametrize("objectives", [1, 2, 3])
def test_the_running_volume_is_that_of_the_points_so_far(objectives: int) -> None:
    costs = np.random.default_rng(1).random((40, objectives)) * 1.2
    costs[7] = np.nan
    steps = np.arange(1, 41)
    curve = running_volume(costs, steps)
    known = [costs[:step][~np.isnan(costs[:step]).any(axis=1)] for step in steps]
    np.testing.assert_allclose(curve, [dominated_volume(points) for points in known])
    assert (np.diff(curve) >= 0).all()
    np.testing.assert_allclose(running_volume(costs, steps[[4, 39]]), curve[[4, 39]])  # Steps may be left out.


def test_too_many_objectives_are_refused() -> None:
    with pytest.raises(ValueError, match="1 to 3"):
        running_volume(np.zeros((2, 4)), np.array([1]))


def test_the_curve_counts_feasible_trials_only(make_study: MakeStudy) -> None:
    study = load_study(make_study())
    objectives = volume_objectives(study)
    assert objectives[0].searched
    box = box_of((study,), objectives)
    assert box is not None
    curve = volume_curve(study, box)
    costs = scaled(study, box)
    assert np.nanmin(costs) == 0.0
    assert np.nanmax(costs) == 1.0
    assert curve.trials[-1] == len(study) <= MOST_STEPS
    assert curve.volume[-1] == pytest.approx(dominated_volume(costs[study.feasible]))
    none = load_study(make_study("none", change_rows=lambda rows: [row | {"feasible": False} for row in rows]))
    assert not volume_curve(none, box).volume.any()


def test_hours_are_those_of_the_devices_that_trials_hold(make_study: MakeStudy) -> None:
    folder = make_study(trials=4)
    study = load_study(folder)
    box = box_of((study,), volume_objectives(study))
    assert box is not None
    assert device_share(study) == (1.0, "CPU")
    assert volume_curve(study, box).hours[-1] == pytest.approx(float(study.seconds.sum()) / 3600)
    (folder / "environment.json").write_text('{"trials": {"cpus": 4, "gpus": 0.25}}')
    shared = load_study(folder)
    assert device_share(shared) == (0.25, "GPU")
    assert volume_curve(shared, box).hours[-1] == pytest.approx(0.25 * float(study.seconds.sum()) / 3600)
