"""A small part of the planted-leak benchmark, whole: plant, publish, judge by closed forms, find."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from torch import Tensor

from benchmarks import planted_bench
from benchmarks.planted_bench import UNTRAINED, Bench, Cell, battery_setting
from benchmarks.planted_tables import judged
from models.checks.battery import Access, fit_on_originals, judge_honest
from models.checks.config import CheckConfig
from models.checks.material import Labels, LabelSplits, Release
from models.data.procedural import ProceduralConfig, procedural_faces
from study.bounds import parse_bound

pytestmark = pytest.mark.slow

SIZES = (600, 150, 400)
BOUND = parse_bound("strong_identity", "strong_identity_accuracy <= baseline + 0.05", 0.05)


@pytest.fixture(scope="module")
def bench(tmp_path_factory: pytest.TempPathFactory) -> Bench:
    """Return the cheap battery with an ideal sanitiser: it shows any face of the target, whoever came in."""
    faces = procedural_faces(ProceduralConfig(images=sum(SIZES), size=32, seed=3))
    images = torch.tensor(faces.images)
    rows = np.split(np.random.default_rng(0).permutation(sum(SIZES)), np.cumsum(SIZES)[:2])
    shown = [torch.from_numpy(np.flatnonzero(faces.identity == one)) for one in range(6)]

    def show(_: object, inputs: Tensor, target: Tensor, random: torch.Generator) -> Tensor:
        chosen = torch.randint(len(shown[0]), (len(inputs),), generator=random)
        of_target = [shown[one] for one in target.tolist()]
        return images[torch.stack([own[at % len(own)] for own, at in zip(of_target, chosen, strict=True)])]

    def labels(values: np.ndarray, classes: int) -> LabelSplits:
        return LabelSplits(*[torch.from_numpy(values[part]) for part in rows], classes)

    truth = Labels(labels(faces.identity, 6), labels(faces.expression, 7))
    inputs = Release(*[images[torch.from_numpy(part)] for part in rows])
    adversaries = battery_setting("cheap", [], tmp_path_factory.getbasetemp()).adversaries
    made = object.__new__(Bench)
    made.checks = CheckConfig.from_mapping({**adversaries, "strong": ["linear_pixels", "bit_planes", "moments"]})
    targets = [torch.randint(6, (count,), generator=torch.Generator().manual_seed(count)) for count in SIZES]
    random = torch.Generator().manual_seed(1)
    covers = Release(*[show(None, part, to, random) for part, to in zip(vars(inputs).values(), targets, strict=True)])
    originals = fit_on_originals(inputs, truth, made.checks, seed=0, device="cpu")
    honest = judge_honest(covers, truth, originals, made.checks, seed=0, device="cpu")
    stage = SimpleNamespace(generator=None)
    made.material = SimpleNamespace(  # type: ignore[assignment]
        labels=truth, inputs=inputs, stage=stage, originals=originals, honest=honest, access=Access()
    )
    patched = pytest.MonkeyPatch()
    patched.setattr(planted_bench, "sanitise", show)
    return made


def found(bench: Bench, plant: str, levels: int = 2, one_in: int = 1) -> tuple[bool, float]:
    record = bench.measure(Cell(plant, levels, one_in, 0, "cheap"))
    assert not any(name.startswith(UNTRAINED) for name in record.metrics)
    assert record.parts["linear_pixels"] > 0
    item = judged([record], [BOUND], members={"strong_identity": 9})[0]
    return item.found, item.results["strong_identity"].margin


@pytest.mark.parametrize(
    ("plant", "levels"),
    [("bits", 2), ("watermark", 2), ("low_frequencies", 2), ("frequency", 2), ("target", 0), ("channel_mean", 8)],
)
def test_closed_forms_find_what_all_images_carry(bench: Bench, plant: str, levels: int) -> None:
    assert found(bench, plant, levels)[0]  # 600 drawn faces: fainter tints drown in their own


@pytest.mark.parametrize("plant", ["clean", "keyed_bits"])
def test_nothing_is_found_where_nothing_can_be_read(bench: Bench, plant: str) -> None:
    assert not found(bench, plant)[0]


def test_fewer_carriers_leak_less(bench: Bench) -> None:
    margins = [found(bench, "watermark", one_in=one_in)[1] for one_in in (1, 10)]
    assert margins[0] == 3.0 > margins[1]


def test_covers_and_releases_of_a_cell_differ_only_where_an_image_carries(bench: Bench) -> None:
    covers, released = bench.plant(Cell("bits", 2, 5, 0, "cheap"))
    changed = (covers.test != released.test).flatten(1).any(1).float().mean()
    assert 0.12 < changed < 0.28
    covers, released = bench.plant(Cell("target", 0, 5, 0, "cheap"))
    changed = (covers.test != released.test).flatten(1).any(1).float().mean()
    assert 0.08 < changed < 0.28  # a sixth of the carriers would have had this target anyway
    covers, released = bench.plant(Cell("clean", 0, 1, 0, "cheap"))
    assert not torch.equal(covers.test, released.test)


def test_the_batteries_are_those_of_the_search_spaces(tmp_path: Path) -> None:
    fast, thorough, cheap = (
        CheckConfig.from_mapping(battery_setting(name, [], tmp_path).adversaries) for name in planted_bench.BATTERIES
    )
    assert set(cheap.strong) < set(thorough.strong)
    assert set(fast.strong) <= set(thorough.strong)
    assert not cheap.informed
    assert {cheap.fits[name].steps for name in ("plain", "expression", "steganalyser")} == {1}
