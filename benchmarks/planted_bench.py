"""Measuring planted leaks: one honest sanitiser, its batteries of checks, and a record for every cell of the design.

A cell is one plant at one strength, in one share of the images, under one seed, judged by one battery. The seed draws
everything that a repetition should not share: the sanitiser's noise and targets, patterns, carriers, and how the
adversaries are trained. The sanitiser, the split of the inputs and the honest baselines are the same in all cells.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import torch

from benchmarks.planted import LEVELS, PLANTS, Secret, carriers, target_of
from benchmarks.space_setting import Setting, read_setting
from benchmarks.timing import Seconds, timed
from models.channel import PNG
from models.checks.adversaries import IMAGE_CLOSED_FORM
from models.checks.battery import judge_release
from models.checks.config import CheckConfig
from models.checks.ensemble import ENSEMBLE
from models.checks.material import Release
from models.data import SPLITS, load_splits
from models.honest import Material, honest_material
from models.measurement import Measurement
from models.ppgan.release import sanitise
from models.randomness import derive_seed, torch_generator
from study.subverted_ppgan import read_trial

BATTERIES = ("fast", "thorough", "cheap")
"""``checks=default``, ``checks=thorough``, and of the latter the closed forms of the strong threat model."""

SHARES = (1, 2, 5, 10)
"""One image in so many carries."""

UNTRAINED = ("weak_identity_accuracy", "expression_accuracy", "expression_accuracy_originals", "steganalysis")
"""Beginnings of what the battery "cheap" does not measure."""

DIGITS = 6
"""Decimals that are kept of a measurement."""


@dataclass(frozen=True)
class Cell:
    """One measurement of the design."""

    plant: str
    levels: int
    """Largest change, grey levels; 0 where the plant has none."""
    one_in: int
    seed: int
    battery: str


@dataclass(frozen=True)
class Record:
    """What was found in a cell."""

    cell: Cell
    metrics: Mapping[str, Measurement]
    failed_controls: tuple[str, ...]
    """Of the honest battery: "check.adversary.control"; such an adversary has no vote."""
    images: Mapping[str, int]
    """Split -> number of images."""
    seconds: float
    """CPU time of judging, on one thread; the honest baseline is not in it."""
    parts: Mapping[str, float]
    """Adversary -> CPU seconds of it."""

    def to_json(self) -> str:
        """Return one line."""
        metrics = {name: _rounded(item) for name, item in self.metrics.items()}
        return json.dumps({**asdict(self), "metrics": metrics}, sort_keys=True)

    @classmethod
    def from_json(cls, line: str) -> Record:
        """Rebuild what ``to_json`` returned.

        Raises:
            ValueError: If the line is no JSON.
            KeyError: If a field is missing.
        """
        fields = json.loads(line)
        return cls(
            Cell(**fields["cell"]),
            {name: Measurement(**item) for name, item in fields["metrics"].items()},
            tuple(fields["failed_controls"]),
            fields["images"],
            fields["seconds"],
            fields["parts"],
        )


def design(
    *,
    plants: Sequence[str] = tuple(PLANTS),
    levels: Sequence[int] = LEVELS,
    one_in: Sequence[int] = SHARES,
    seeds: int = 10,
    battery: str = "thorough",
) -> Iterator[Cell]:
    """Yield the cells, the most informative first: all images at 2 levels, then fewer levels, then fewer images.

    Clean releases and the choice of the target have no levels, clean ones no carriers, and come once.
    """
    first = [level for level in (2, 1) if level in levels]
    for share in one_in:
        for level in [*first, *(level for level in levels if level not in first)]:
            for seed in range(seeds):
                for plant in plants:
                    once = plant == "clean" and share != one_in[0]
                    if plant not in ("clean", "target"):
                        yield Cell(plant, level, share, seed, battery)
                    elif not once and level == (first or list(levels))[0]:
                        yield Cell(plant, 0, 1 if plant == "clean" else share, seed, battery)


def read_records(path: Path) -> list[Record]:
    """Return the records of a file, the last of a cell measured twice; a line that a kill cut off is left out."""
    found: dict[Cell, Record] = {}
    for line in path.read_text().splitlines() if path.exists() else ():
        try:
            record = Record.from_json(line)
        except ValueError:
            continue
        found[record.cell] = record
    return list(found.values())


def append_record(path: Path, record: Record) -> None:
    """Add one line, after ending one that a kill left unfinished."""
    path.parent.mkdir(parents=True, exist_ok=True)
    cut = path.exists() and path.stat().st_size > 0 and not path.read_bytes().endswith(b"\n")
    with path.open("a") as file:
        file.write(("\n" if cut else "") + record.to_json() + "\n")


def measure(
    cells: Sequence[Cell], bench: Callable[[str], Bench], path: Path, *, until: float, report: Callable[[Record], None]
) -> int:
    """Measure cells that have no record yet, one after another.

    Args:
        cells: In the order in which they are measured.
        bench: Returns the bench of a battery.
        path: File of the records.
        until: Time by ``time.monotonic`` after which no cell is begun.
        report: Called after each.

    Returns:
        How many cells are still to be measured.
    """
    known = {record.cell for record in read_records(path)}
    waiting = [cell for cell in cells if cell not in known]
    for done, cell in enumerate(waiting):
        if time.monotonic() >= until:
            return len(waiting) - done
        record = bench(cell.battery).measure(cell)
        append_record(path, record)
        report(record)
    return 0


class Bench:
    """The honest sanitiser with one battery of checks."""

    def __init__(self, battery: str, overrides: Sequence[str], cache: Path) -> None:
        """Train or load the sanitiser and the honest battery, which takes minutes the first time."""
        setting = battery_setting(battery, overrides, cache)
        self.checks = CheckConfig.from_mapping(setting.adversaries)
        faces, splits = load_splits(setting.data, cache)
        start = time.process_time()
        with timed() as parts:
            self.material: Material = honest_material(
                read_trial(setting.trial).ppgan,
                faces,
                splits,
                self.checks,
                channel=PNG,
                split_settings=setting.data.get("split", {}),
                seed=0,
                device="cpu",
                cache=cache,
            )
        self.honest_seconds: Seconds = {"all": time.process_time() - start, **parts}

    def measure(self, cell: Cell) -> Record:
        """Plant, publish and judge."""
        covers, released = self.plant(cell)
        start = time.process_time()
        with timed() as parts:
            metrics, controls = judge_release(
                released,
                covers,
                self.material.labels,
                self.material.originals,
                self.material.honest,
                self.checks,
                seed=derive_seed(cell.seed, "judges", cell.plant, cell.levels, cell.one_in),
                device="cpu",
                access=self.material.access,
            )
        if cell.battery == "cheap":
            metrics = {name: item for name, item in metrics.items() if not name.startswith(UNTRAINED)}
        failed = tuple(f"{c.check}.{c.adversary}.{c.control}" for c in controls if not c.passed)
        images = {name: len(getattr(released, name)) for name in SPLITS}
        return Record(cell, metrics, failed, images, round(time.process_time() - start, 1), parts)

    def plant(self, cell: Cell) -> tuple[Release, Release]:
        """Return covers and what is released for a cell; clean ones are two honest releases of the same inputs."""
        parts = [self._planted(cell, name) for name in SPLITS]
        return Release(*[cover for cover, _ in parts]), Release(*[released for _, released in parts])

    def _planted(self, cell: Cell, split: str) -> tuple[torch.Tensor, torch.Tensor]:
        truth, plant = self.material.labels.identity, PLANTS[cell.plant]
        identity, inputs = getattr(truth, split), getattr(self.material.inputs, split)
        generator = self.material.stage.generator
        own = derive_seed(cell.seed, "cover", split)
        targets = torch.randint(truth.classes, identity.shape, generator=torch_generator(own, "targets"))
        carry = carriers(len(identity), cell.one_in, derive_seed(own, cell.plant))
        cover = sanitise(generator, inputs, targets, torch_generator(own, "noise"))
        if cell.plant == "clean":
            return cover, sanitise(generator, inputs, targets, torch_generator(own, "other noise"))
        if plant.write is None:
            chosen = torch.where(carry, target_of(identity, truth.classes, cell.seed), targets)
            return cover, sanitise(generator, inputs, chosen, torch_generator(own, "noise"))
        secret = Secret(identity, truth.classes, cell.levels, cell.seed, derive_seed(own, "images"))
        written = plant.write(cover, secret)
        return cover, torch.where(carry[:, None, None, None], written, cover)


def battery_setting(battery: str, overrides: Sequence[str], cache: Path) -> Setting:
    """Return the setting of a battery, by its name in ``BATTERIES``.

    Raises:
        ConfigError: If overrides or values are wrong.
    """
    group = "default" if battery == "fast" else "thorough"
    setting = read_setting([f"checks={group}", *overrides], cache)
    if battery == "cheap":
        setting = replace(setting, adversaries={**setting.adversaries, **cheap(setting.adversaries)})
    return setting


def cheap(adversaries: Mapping[str, Any]) -> dict[str, Any]:
    """Return what of the settings of a battery differs if only adversaries solved in closed form are to judge.

    Of the strong threat model alone. What is trained in steps gets a single one, which measures nothing: ``UNTRAINED``
    names what is then left out.
    """
    strong = [name for name in adversaries["strong"] if name in (*IMAGE_CLOSED_FORM, ENSEMBLE)]
    fits = {name: {**fit, "steps": 1, "seeds": 1} for name, fit in adversaries["fits"].items()}
    return {"strong": strong, "informed": [], "paired": [], "latent": [], "fits": fits, "require_convergence": False}


def _rounded(item: Measurement) -> dict[str, Any]:
    values = item.to_dict()
    return {
        name: round(value, DIGITS) if isinstance(value, float) else value
        for name, value in values.items()
        if value is not None
    }
