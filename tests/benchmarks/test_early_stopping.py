"""The benchmark of early stopping: its hypervolume, its correlations, what it reads and how it measures."""

from __future__ import annotations

import itertools
import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from benchmarks import early_stopping
from benchmarks.early_stopping_curves import ONE, QUALITY, THREE, UNBOUNDED, Recorded, read_curves
from benchmarks.early_stopping_replays import Settings, choose, halves, hypervolume, measure
from models.measurement import Measurement
from study.cli import resolve
from study.evaluation import Stage
from study.objective import score, unmeasured
from study.outcomes import Outcome
from study.records import Epoch, FinishedTrial, Records
from study.schedulers import Limit
from study.subverted_ppgan import METRICS

SETTINGS = Settings(2, 2, True)


def recorded(number: int, quality: float, *, told: float | None = None, margin: float = -1.0) -> Recorded:
    """Return a trial of three epochs of a second, a release of 2 s and checks of 8 s, all signals as ``told``."""
    signals = {"ssim": quality if told is None else told, "quick_steganalysis": 0.5, "quick_identity": 0.2}
    epochs = [Epoch(epoch, {}, signals, Stage.TRAINING, 1.0) for epoch in (2, 3, 4)]
    steps = [Epoch(1, {}, {}, Stage.SET_UP, 1.0), *epochs, Epoch(5, {}, signals, Stage.RELEASE, 2.0)]
    return Recorded(
        number,
        "learned" if number % 2 else "keyed",
        (number % 2,),
        [*steps, Epoch(6, {}, {}, Stage.CHECKS, 8.0)],
        {QUALITY: quality, "strong_identity_accuracy": 0.2, "steganalysis_auc": 0.5},
        {"weak_identity": -1.0, "strong_identity": -1.0, "expression_utility": -1.0, "steganalysis": margin},
    )


def trials(count: int, *, telling: bool) -> list[Recorded]:
    rng = np.random.default_rng(0)
    ends = rng.random(count)
    told = ends if telling else rng.permutation(ends)
    return [recorded(number, end, told=signal) for number, (end, signal) in enumerate(zip(ends, told, strict=True))]


def test_hypervolume_is_that_of_a_count_on_a_grid() -> None:
    rng = np.random.default_rng(0)
    for axes in (1, 2, 3):
        points = rng.integers(0, 6, (7, axes))
        cells = sum(
            any((np.array(cell) < point).all() for point in points) for cell in itertools.product(range(6), repeat=axes)
        )
        assert hypervolume(points.astype(float)) == pytest.approx(cells)
    assert hypervolume(np.empty((0, 2))) == 0.0


def test_signals_that_foretell_the_end_save_time_and_keep_the_best() -> None:
    saving, values = measure(trials(40, telling=True), ONE, SETTINGS, orders=10)
    assert saving.kept == 1.0
    assert saving.compute < 0.6
    assert saving.same < 0.8
    assert 0.5 < saving.stopped < 1.0
    assert values.shape == (10, 4)


def test_signals_that_say_nothing_lose() -> None:
    assert measure(trials(40, telling=False), ONE, SETTINGS, orders=20)[0].kept < 0.97


def test_trials_that_are_all_alike_in_their_signals_lose_and_save_nothing() -> None:
    alike = [recorded(number, 0.1 * number, told=0.5) for number in range(8)]
    saving, _ = measure(alike, THREE, SETTINGS, orders=3)
    assert (saving.compute, saving.kept, saving.same, saving.stopped) == (1.0, 1.0, 1.0, 0.0)


def test_infeasible_ends_count_for_nothing() -> None:
    only = [recorded(number, 0.1 * number, margin=1.0) for number in range(8)]
    assert measure(only, ONE, SETTINGS, orders=2)[0].kept == 0.0
    mixed = [recorded(number, 0.1 * number, margin=1.0 if number > 3 else -1.0) for number in range(8)]
    blind = measure(mixed, ONE, SETTINGS, orders=20)[0]
    assert blind.kept < 1.0  # stopped behind what will be refused at the end


def test_a_signal_of_a_check_keeps_what_would_be_stopped_behind_the_infeasible() -> None:
    def told(trial: Recorded, detected: float) -> Recorded:
        steps = [replace(step, signals={**step.signals, "quick_steganalysis": detected}) for step in trial.steps]
        return replace(trial, steps=steps, margins={**trial.margins, "steganalysis": 30 * (detected - 0.6)})

    mixed = [told(recorded(number, 0.1 * number), 0.9 if number > 3 else 0.5) for number in range(8)]
    knowing = Settings(2, 2, True, (("steganalysis", Limit("quick_steganalysis", 0.53, 0.65)),))
    saving = measure(mixed, ONE, knowing, orders=20)[0]
    assert saving.kept == 1.0
    assert saving.stopped >= 0.5  # all that will be refused, before it is checked


def test_settings_are_chosen_that_keep_enough() -> None:
    greedy, none = Settings(2, 4, True), Settings(99, 2, False)
    assert choose(trials(40, telling=False), ONE, [greedy, none], orders=5, keep=0.999) == none
    assert choose(trials(40, telling=True), ONE, [greedy, none], orders=5, keep=0.9) == greedy


def test_halves_divide_every_stratum() -> None:
    first, second = halves(trials(40, telling=True), seed=1)
    assert sorted(trial.number for trial in [*first, *second]) == list(range(40))
    assert abs(sum(trial.stratum == (0,) for trial in first) - 10) <= 1


def test_correlations_are_those_of_ranks_inside_groups(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(early_stopping, "RESAMPLES", 100)
    rng = np.random.default_rng(0)
    values = rng.random(60)
    groups = ["a"] * 30 + ["b"] * 30
    shifted = np.exp(values) + np.repeat([0.0, 100.0], 30)  # between the groups there is no relation to be seen
    assert early_stopping.correlation(np.column_stack([values, shifted]), groups, rng)[0] == pytest.approx(1.0)
    noise = early_stopping.correlation(np.column_stack([values, rng.random(60)]), groups, rng)
    assert noise[1] < 0 < noise[2]


def test_a_study_folder_is_read_and_measured(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(early_stopping, "RESAMPLES", 10)
    monkeypatch.setattr(early_stopping, "SPLITS", 1)
    monkeypatch.setattr(early_stopping, "grid", lambda target: [SETTINGS, Settings(99, 2, True)])
    config = resolve([f"output={tmp_path / 'study'}", f"cache={tmp_path / 'cache'}"])
    records = Records(config, METRICS)
    base = {"stage_one.critic": "patch", "subversion.family": "keyed", "subversion.secret": "image"}
    for number, trial in enumerate(trials(12, telling=True)):
        names = [name for metric, info in METRICS.items() for name in info.measured_names(metric)]
        metrics = {name: Measurement(0.1, 0.0, 0.2, 0.1, 0.0, 0.2, 0.2, 0.2) for name in names}
        metrics[QUALITY] = Measurement(trial.objectives[QUALITY], 0.0, 1.0)
        result = score(config.objective, METRICS, metrics)
        records.write(FinishedTrial(number, base, 0, result, metrics, (), trial.steps, 14.0, 1e9))
    lost = unmeasured(config.objective, Outcome.CRASHED)
    records.write(FinishedTrial(12, base, 0, lost, {}, (), (), 0.0, 1e9))
    assert [trial.number for trial in read_curves(config.output, early_stopping.STRATA)] == list(range(12))
    kept = tmp_path / "kept.json"
    assert early_stopping.main([str(config.output), "--orders", "2", "--keep", str(kept)]) == 0
    found = json.loads(kept.read_text())
    assert found["trials"] == 12
    assert found["seconds"] == [
        {"family": "keyed", "trials": 12, "set_up": 1.0, "training": 3.0, "release": 2.0, "checks": 8.0}
    ]
    rho = [row["rho"] for row in found["correlations"] if row["signal"] == "ssim" and row["end"] == QUALITY]
    assert rho == [1.0] * 8  # all and keyed, three epochs and the release
    assert [row["target"] for row in found["savings"]] == [ONE.name] * 5 + [UNBOUNDED.name] * 5 + [THREE.name] * 5
    assert found["hopeless"] == [{"stopped": 0, "feasible after all": 0}]
    assert early_stopping.main([str(tmp_path / "cache")]) == 1
    assert "give 8 or more" in capsys.readouterr().err
