"""Recorded trials of the real experiment as a small data file, for ``benchmarks/search_own.py``.

    python -m benchmarks.own_trials FOLDER ... [--designs FILE ...]

reads the records of study folders that searched the same space, running ones included, and those records of
``benchmarks.space`` that were measured in the same way and lie in that space. Writes ``benchmarks/own_trials.json``:
the space, bounds and fixed settings of the study, and parameters, objectives, margins and outcome of every trial that
says something about its configuration. No images.
"""

from __future__ import annotations

import argparse
import json
import math
import sys
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

from benchmarks.space_records import REFUSED, RecordFile, record_key
from study.bounds import MISSING
from study.compose import compose_config
from study.config import StudyConfig, read_config
from study.experiments import load_experiment
from study.nested import flatten, with_values
from study.objective import Score, score, unmeasured
from study.outcomes import RULES, Outcome, Told
from study.parameter import Value
from study.records import Records, read_parts
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


def make_trial(parameters: Mapping[str, Value], result: Score) -> Trial | None:
    """Return the trial with a score; None if it ended by a fault of a machine or of code."""
    rule = RULES[result.outcome]
    if rule.told is not Told.COMPLETE:
        return None
    if rule.at_clip:
        return Trial(dict(parameters), str(result.outcome), {})
    missing = sorted(check for check, verdict in result.verdicts.items() if verdict == MISSING)
    margins = {f"margin.{check}": margin for check, margin in result.margins.items() if check not in missing}
    values = {name: round(value, 5) for name, value in (result.objectives | margins).items() if math.isfinite(value)}
    return Trial(dict(parameters), " ".join(["without", *missing]) if missing else MEASURED, values)


def read_rows(folder: Path, config: StudyConfig) -> list[Trial | None]:
    """Return the trials that a study folder holds so far."""
    scores = Records(replace(config, output=folder), load_experiment(config.experiment).metrics).scores()
    found = []
    for row in read_parts(folder):
        named = {name: row[f"param.{name}"] for name in config.space.names}
        parameters = {name: value for name, value in named.items() if value is not None}
        found.append(make_trial(parameters, scores[row["trial"]]))
    return found


def read_design(path: Path, config: StudyConfig) -> list[Trial | None]:
    """Return those trials of ``benchmarks.space`` that were measured as the study's and lie in its space.

    Args:
        path: A ``records.jsonl``.
        config: The study. A record has the hash of its seed, configuration, data and checks; those of the study with
            the record's values must have the same.
    """
    checks = {
        "adversaries": config.adversaries,
        "bounds": [(bound.check, bound.text, bound.scale) for bound in config.objective.bounds],
    }
    base, found = flatten(config.trial), []
    for record in RecordFile(path).read().values():
        trial = with_values(config.trial, record.values)
        values = flatten(trial)
        parameters = {name: values[name] for name in config.space.active(values, config.trial)}
        elsewhere = any(values[name] != base[name] for name in base if name not in config.space.names)
        same = record.seed == config.seed and record.key == record_key(trial, record.seed, config.data, checks)
        outside = elsewhere or config.space.point_problems("", parameters, config.trial)
        if record.outcome == REFUSED or not same or outside:
            continue
        infos, objective = load_experiment(config.experiment).metrics, config.objective
        measured = score(objective, infos, record.metrics) if record.metrics else None
        found.append(make_trial(parameters, measured or unmeasured(objective, Outcome(record.outcome))))
    return found


def read_studies(folders: Sequence[Path], designs: Sequence[Path] = ()) -> OwnTrials:
    """Return the trials of study folders and of fixed designs.

    Raises:
        ValueError: If two folders searched another space, under other bounds or with other settings.
    """
    settings = [_settings(saved_config(folder)) for folder in folders]
    for folder, other in zip(folders, settings, strict=True):
        different = [name for name in other if other[name] != settings[0][name]]
        if different:
            raise ValueError(f"{folder} differs from {folders[0]} in {', '.join(different)}; give studies of one space")
    config = OwnTrials(settings[0], ()).config()
    trials = [trial for folder in folders for trial in read_rows(folder, config)]
    trials += [trial for path in designs for trial in read_design(path, config)]
    return OwnTrials(settings[0], tuple(trial for trial in trials if trial is not None))


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
    parser.add_argument("--designs", nargs="+", type=Path, default=[], metavar="FILE")
    options = parser.parse_args()
    studies = read_studies(options.folders, options.designs)
    trials = leave_each_out(studies.config().space.parameters, studies.trials, forest, forest_classifier)
    save(OwnTrials(studies.settings, trials))
    print(accuracy(trials))
    return 0


if __name__ == "__main__":
    sys.exit(main())
