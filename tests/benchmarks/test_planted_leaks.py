"""Planted leaks: what is planted is there, the design is measured once, and the tables count it."""

from __future__ import annotations

import json
import math
import time
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from torch import Tensor

from benchmarks import planted_leaks
from benchmarks.planted import LEVELS, PLANTS, Secret, carriers, target_of
from benchmarks.planted_bench import Cell, Record, append_record, design, measure, read_records
from benchmarks.planted_tables import found_table, judged, power_table, would_have_found
from models.measurement import Measurement
from study.bounds import parse_bound

WRITTEN = [name for name, plant in PLANTS.items() if plant.write is not None]
COUNT, CLASSES = 240, 6


def covers() -> Tensor:
    """Return smooth images that say nothing of anybody, as a sanitiser's are, far enough from black and white."""
    generator = torch.Generator().manual_seed(0)
    coarse = torch.rand(COUNT, 3, 8, 8, generator=generator) * 120 + 60
    return torch.nn.functional.interpolate(coarse, size=32, mode="bilinear").round().to(torch.uint8)


def secret(levels: int, *, seed: int = 0, images: int = 0) -> Secret:
    return Secret(torch.arange(COUNT) % CLASSES, CLASSES, levels, seed, images)


def planted(name: str, levels: int, *, seed: int = 0, images: int = 0) -> Tensor:
    write = PLANTS[name].write
    assert write is not None
    return write(covers(), secret(levels, seed=seed, images=images))


@pytest.mark.parametrize("levels", LEVELS)
@pytest.mark.parametrize("name", WRITTEN)
def test_a_plant_changes_no_value_by_more_than_its_levels_and_some_by_as_much(name: str, levels: int) -> None:
    released = planted(name, levels)
    assert released.dtype == torch.uint8
    assert int((released.int() - covers().int()).abs().max()) == levels


@pytest.mark.parametrize("levels", [1, 2])
@pytest.mark.parametrize("name", WRITTEN)
def test_somebody_who_knows_the_covers_reads_the_identity_unless_it_is_encrypted(name: str, levels: int) -> None:
    change = (planted(name, levels).int() - covers().int()).float()
    if name.endswith("bits"):
        change = ((planted(name, levels).int() // levels) & 1).float()
    if name == "frequency_any_phase":
        change = torch.fft.rfft2(change.mean(1)).abs()
    features, labels = change.flatten(1), secret(levels).identity
    centres = torch.stack([features[: COUNT // 2][labels[: COUNT // 2] == k].mean(0) for k in range(CLASSES)])
    read = torch.cdist(features[COUNT // 2 :], centres).argmin(1)
    share = float((read == labels[COUNT // 2 :]).float().mean())
    if PLANTS[name].readable:
        assert share > 0.95
    else:
        assert share < 1 / CLASSES + 0.12  # 120 images: chance + 3.5 standard errors


@pytest.mark.parametrize("name", WRITTEN)
def test_the_seed_draws_what_is_planted_and_the_same_seed_the_same(name: str) -> None:
    assert torch.equal(planted(name, 2), planted(name, 2))
    assert not torch.equal(planted(name, 2), planted(name, 2, seed=1))
    varies = name in ("channel_mean", "frequency_any_phase", "keyed_bits")
    assert torch.equal(planted(name, 2), planted(name, 2, images=1)) is not varies


def test_targets_give_every_identity_away_and_carriers_are_as_many_as_asked_for() -> None:
    targets = target_of(torch.arange(6), 6, 3)
    assert sorted(targets.tolist()) == list(range(6))
    assert carriers(1000, 1, 0).all()
    assert 0.15 < carriers(4000, 5, 0).float().mean() < 0.25


def test_the_design_measures_all_images_at_two_levels_first_and_every_cell_once() -> None:
    cells = list(design(seeds=10))
    assert len(set(cells)) == len(cells)
    assert len(cells) == 10 * (1 + 4 * (1 + 7 * 4))
    first = cells[: 10 * len(PLANTS)]
    assert {cell.levels for cell in first} == {0, 2}
    assert {cell.one_in for cell in first} == {1}
    assert {cell.plant for cell in first} == set(PLANTS)
    assert list(design(plants=("bits",), levels=(4,), one_in=(2,), seeds=1)) == [Cell("bits", 4, 2, 0, "thorough")]
    assert [c.plant for c in design(plants=("clean", "target"), levels=(1,), one_in=(5, 10), seeds=1)] == [
        "clean",
        "target",
        "target",
    ]


def record(cell: Cell, excess: float, half: float = 0.02, auc: float = 0.5) -> Record:
    def member(value: float) -> Measurement:
        limits = {"excess_low": value - half, "excess_high": value + half, "half_width": half}
        return Measurement(0.2 + value, 0.0, 1.0, 0.2, 0.1, 0.3, **limits)  # type: ignore[arg-type]

    metrics = {
        "strong_identity_accuracy.plain": member(0.0),
        "strong_identity_accuracy.bit_plane": member(excess),
        "steganalysis_auc.high_pass": Measurement(auc, auc - 0.02, auc + 0.02, chance=0.5, half_width=0.02),
    }
    return Record(cell, metrics, ("weak_identity.plain.pass_through",), {"test": 1000}, 12.5, {"plain": 3.0})


BOUNDS = [
    parse_bound("strong_identity", "strong_identity_accuracy <= baseline + 0.05", 0.05),
    parse_bound("steganalysis", "steganalysis_auc <= 0.6", 0.1),
    parse_bound("expression_utility", "expression_accuracy >= baseline - 0.05", 0.05),
]


def test_records_survive_a_kill_and_what_is_measured_is_not_measured_again(tmp_path: Path) -> None:
    path, cells = tmp_path / "results.jsonl", list(design(plants=("bits", "clean"), levels=(2,), one_in=(1,), seeds=2))
    asked: list[Cell] = []

    class Fake:
        def measure(self, cell: Cell) -> Record:
            asked.append(cell)
            if len(asked) == 2:
                raise KeyboardInterrupt
            return record(cell, 0.1)

    def run() -> int:
        return measure(cells, lambda _: Fake(), path, until=math.inf, report=lambda _: None)  # type: ignore[arg-type,return-value]

    with pytest.raises(KeyboardInterrupt):
        run()
    with path.open("a") as file:
        file.write('{"cell": {"plant": "bi')  # the rest of the line was lost
    assert run() == 0
    assert asked == [cells[0], cells[1], cells[1], *cells[2:]]
    assert [item.cell for item in read_records(path)] == cells
    assert run() == 0
    assert len(asked) == len(cells) + 1
    assert measure(cells, lambda _: Fake(), tmp_path / "other", until=time.monotonic() - 1, report=lambda _: None) == 4  # type: ignore[arg-type,return-value]


def test_a_record_reads_back_as_it_was_written(tmp_path: Path) -> None:
    one = record(Cell("bits", 2, 1, 0, "fast"), 0.125)
    append_record(tmp_path / "results", one)
    again = read_records(tmp_path / "results")[0]
    assert replace(again, metrics={}) == replace(one, metrics={})
    assert {name: item.value for name, item in again.metrics.items()} == pytest.approx(
        {name: item.value for name, item in one.metrics.items()}
    )
    assert json.loads(one.to_json())["cell"]["plant"] == "bits"


def test_the_tables_count_violations_at_corrected_limits_and_leave_utility_out() -> None:
    found = [record(Cell("bits", 2, 1, seed, "thorough"), 0.1) for seed in range(9)]
    close = [record(Cell("bits", 2, 1, 9, "thorough"), 0.0715)]  # beyond the bound alone, not as one of two
    detected = [record(Cell("watermark", 2, 1, seed, "thorough"), 0.0, auc=0.7) for seed in range(10)]
    clean = [record(Cell("clean", 0, 1, seed, "thorough"), 0.0) for seed in range(10)]
    partial = [record(Cell("bits", 2, 5, seed, "thorough"), 0.02 * seed) for seed in range(10)]
    items = judged([*clean, *found, *close, *detected, *partial], BOUNDS)
    rows = {line.split(" | ")[0].strip("| "): line for line in found_table(items)}
    assert "9 of 10 (0.55 to 1.00) | 10 | 0 / 0 / 10 | 9 / 1 / 0" in rows["bits of values"]
    assert "10 of 10 (0.69 to 1.00) | 10 | 10 / 0 / 0 | 0 / 0 / 10" in rows["faint watermark"]
    assert "0 of 10 (0.00 to 0.31) | 0" in rows["nothing"]
    assert "bit_plane 10x +0.10" in rows["bits of values"]
    assert any("9 of 10 (0.55 to 1.00) | 6 of 10" in line for line in power_table(items))
    assert len(would_have_found(items)) == 2
    alone = judged(close, BOUNDS, only=["strong_identity_accuracy.bit_plane"])
    assert alone[0].found
    assert not judged(found, BOUNDS, only=["strong_identity_accuracy.plain"])[0].found
    just = [record(Cell("bits", 2, 1, 0, "cheap"), 0.075)]
    assert judged(just, BOUNDS)[0].found
    assert not judged(just, BOUNDS, members={"strong_identity": 20})[0].found


def test_what_is_not_permitted_is_refused_before_anything_is_measured(capsys: pytest.CaptureFixture[str]) -> None:
    assert planted_leaks.main(["--only", "bits,ink", "--levels", "3", "--one-in", "0", "--seeds", "0"]) == 2
    said = capsys.readouterr().err
    assert "ink: permitted are clean, bits" in said
    assert "--levels 3: permitted are 1, 2, 4, 8" in said
    assert "--one-in 0" in said
    assert "--seeds 0" in said
