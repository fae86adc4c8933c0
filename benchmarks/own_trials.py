"""Recorded trials of the real experiment as a small data file, for ``benchmarks/search_own.py``.

    python -m benchmarks.own_trials FOLDER ...

reads the records of study folders that searched the same space, running ones included, and writes
``benchmarks/own_trials.json``: the space, bounds and fixed settings of the study, and parameters, objectives, margins
and outcome of every trial that says something about its configuration. No images.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from study.bounds import MISSING
from study.compose import compose_config
from study.config import StudyConfig, read_config
from study.outcomes import RULES, Outcome, Told
from study.parameter import Value
from study.records import read_parts
from study.resume import saved_config

DATA = Path(__file__).with_name("own_trials.json")
KEPT = ("experiment", "trial", "fixed", "data", "space")
"""Groups of a study's configuration that its trials depend on; the rest is the project's of today."""


@dataclass(frozen=True)
class Trial:
    """What one configuration gave."""

    parameters: dict[str, Value]
    """Active parameters by dotted name."""
    ending: str
    """"measured", the outcome of a trial without measurements, or "without CHECK ..." where checks are missing."""
    values: dict[str, float]
    """Objectives, and margins of checks as ``margin.CHECK`` in [-3, 3], by name; only what was measured."""
    left_out: dict[str, float] = field(default_factory=dict)
    """What the surrogate of all other trials expects, by the same names."""
    left_out_ending: str = ""
    """The ending that it expects."""


@dataclass(frozen=True)
class OwnTrials:
    """The data file."""

    settings: dict[str, Any]
    """Groups of the study's configuration, plain: those of ``KEPT``, and ``bounds``."""
    trials: tuple[Trial, ...]

    def config(self, *overrides: str) -> StudyConfig:
        """Return the study with settings of today's ``search_spaces/`` chosen by Hydra overrides."""
        composed = compose_config([f"experiment={self.settings['experiment']['name']}", *overrides]).values
        checks = composed["checks"] | {"bounds": self.settings["bounds"]}
        return read_config(composed | {name: self.settings[name] for name in KEPT} | {"checks": checks})


MEASURED = "measured"


def read_trial(row: Mapping[str, Any]) -> Trial | None:
    """Return the trial in a row of the records; None if it ended by a fault of a machine or of code."""
    outcome = Outcome(row["outcome"])
    if RULES[outcome].told is not Told.COMPLETE:
        return None
    parameters = {name.removeprefix("param."): value for name, value in _named(row, "param.") if value is not None}
    missing = [name.removeprefix("verdict.") for name, value in _named(row, "verdict.") if value == MISSING]
    if RULES[outcome].at_clip:
        return Trial(parameters, str(outcome), {})
    values = {name.removeprefix("objective."): value for name, value in _named(row, "objective.")}
    margins = {name.replace("constraint.", "margin."): value for name, value in _named(row, "constraint.")}
    values |= {name: value for name, value in margins.items() if name.removeprefix("margin.") not in missing}
    measured = {name: round(value, 5) for name, value in values.items() if value is not None and value == value}
    return Trial(parameters, " ".join(["without", *sorted(missing)]) if missing else MEASURED, measured)


def _named(row: Mapping[str, Any], prefix: str) -> Sequence[tuple[str, Any]]:
    return [(name, value) for name, value in row.items() if name.startswith(prefix)]


def read_studies(folders: Sequence[Path]) -> OwnTrials:
    """Return the trials of study folders.

    Raises:
        ValueError: If two folders searched another space, under other bounds or with other settings.
    """
    settings = [_settings(saved_config(folder)) for folder in folders]
    for folder, other in zip(folders, settings, strict=True):
        different = [name for name in other if other[name] != settings[0][name]]
        if different:
            raise ValueError(f"{folder} differs from {folders[0]} in {', '.join(different)}; give studies of one space")
    rows = [row for folder in folders for row in read_parts(folder)]
    trials = [trial for trial in map(read_trial, rows) if trial is not None]
    return OwnTrials(settings[0], tuple(trials))


def _settings(saved: Mapping[str, Any]) -> dict[str, Any]:
    return {name: saved[name] for name in KEPT} | {"bounds": saved["checks"]["bounds"]}


def load(path: Path = DATA) -> OwnTrials:
    """Return what the data file holds."""
    content = json.loads(path.read_text())
    return OwnTrials(content["settings"], tuple(Trial(**trial) for trial in content["trials"]))


def save(trials: OwnTrials, path: Path = DATA) -> None:
    """Write the data file, a line for each trial."""
    lines = ",\n".join(json.dumps(asdict(trial)) for trial in trials.trials)
    path.write_text(f'{{"settings": {json.dumps(trials.settings)},\n"trials": [\n{lines}\n]}}\n')


def main() -> int:
    """Read the folders, fit the surrogate with every trial left out once, write the file and say what it is worth."""
    from benchmarks.own_surrogate import accuracy, forest, forest_classifier, leave_each_out

    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folders", nargs="+", type=Path, metavar="FOLDER")
    studies = read_studies(parser.parse_args().folders)
    trials = leave_each_out(studies.config().space.parameters, studies.trials, forest, forest_classifier)
    save(OwnTrials(studies.settings, trials))
    print(accuracy(trials))
    return 0


if __name__ == "__main__":
    sys.exit(main())
