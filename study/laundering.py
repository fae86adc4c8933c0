"""``python -m study.laundering DIR``: what a buyer could do against the hidden content of finished trials.

Every laundering step of ``models.laundering`` is applied to the released test images of the chosen trials; their own
extractors and keys then read what is left of the secret, and a classifier that knows nothing of it says what is left
of the images. Rows go to ``laundering.parquet`` in the study folder; what is there already is not measured again.
"""

from __future__ import annotations

import argparse
import hashlib
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from study.cli import BAD_CONFIGURATION, INTERRUPTED, OK
from study.config import ConfigError, StudyConfig
from study.keeping import judged
from study.laundering_records import LAUNDERING, Row, columns_of, read_rows, write_rows
from study.progress import duration
from study.records import read_parts
from study.resume import resumed_config, saved_config
from study.trial_run import artifact_folder

if TYPE_CHECKING:
    from models.channel import Channel
    from models.checks.battery import OriginalsBattery
    from models.laundering.survival import Trial

EXPERIMENT = "subverted_ppgan"
"""The experiment whose trials hide something."""


@dataclass(frozen=True)
class Chosen:
    """A trial to be laundered."""

    number: int
    trial: Trial
    weights: str
    """Hash of its weights: rows of other weights under the same number are measured again."""


def parser() -> argparse.ArgumentParser:
    """Return the parser of the command line."""
    found = argparse.ArgumentParser(
        prog="python -m study.laundering",
        description="Launder the released images of finished trials, and measure what is left of secret and images. "
        f"Writes {LAUNDERING} into the study folder; run it again to go on after an interrupt, or with other trials.",
    )
    found.add_argument("folder", type=Path, metavar="DIR", help="folder that `python -m study` wrote")
    which = found.add_mutually_exclusive_group()
    which.add_argument("--trials", type=_numbers, metavar="IDS", help="trial numbers joined by commas, such as 3,12")
    which.add_argument(
        "--top", type=int, default=1, metavar="N", help="the N best trials within every bound (default: 1)"
    )
    return found


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command and return its exit code."""
    options = parser().parse_args(arguments)
    try:
        launder_study(options.folder, options.trials, options.top)
    except ConfigError as error:
        print(error, file=sys.stderr)
        return BAD_CONFIGURATION
    except KeyboardInterrupt:
        print("interrupted; what was measured is recorded; the same command goes on", file=sys.stderr)
        return INTERRUPTED
    return OK


def launder_study(
    folder: Path, trials: Sequence[int] | None = None, top: int = 1, say: Callable[[str], None] = print
) -> None:
    """Launder trials of a study, and record what is left.

    Args:
        folder: The study folder; the study may be running.
        trials: Numbers of the trials; None for the best.
        top: How many of the best feasible trials, >= 1.
        say: Prints a line for people.

    Raises:
        ConfigError: If the folder is no study of this experiment, a trial is not there or has no weights that can be
            read, or the data are not those that it was trained on; names every problem before anything is computed.
    """
    config = _study(folder)
    known = read_rows(folder)
    numbers = _numbers_of(config, trials, top)
    say(f"trial {', '.join(map(str, numbers))}: reading data, weights, and what was trained on originals")
    chosen = _load(config, numbers)
    done = {(row["trial"], row["step"], row["weights"]) for row in known}
    from models.laundering.steps import STEPS

    left = [(one, step) for one in chosen for step in STEPS if (one.number, step, one.weights) not in done]
    there = len(chosen) * len(STEPS) - len(left)
    say(f"{len(chosen)} trials, {len(STEPS)} steps each" + (f", {there} measured before" if there else ""))
    ours = {one.number: one.weights for one in chosen}
    rows = [row for row in known if row["weights"] == ours.get(row["trial"], row["weights"])]
    start = time.monotonic()
    for one in chosen:
        todo = [step for of, step in left if of is one]
        for place, row in enumerate(_launder(one, todo), 1):
            rows.append(row)
            write_rows(folder, config.name, rows)
            count = len(STEPS) - len(todo) + place
            say(f"trial {one.number}, step {count} of {len(STEPS)}: {_describe(row)}")
    say(f"{folder / LAUNDERING}: {len(rows)} rows, {duration(time.monotonic() - start)}")
    say(f"report: python -m analysis report {folder}")


def _study(folder: Path) -> StudyConfig:
    saved = saved_config(folder, "folder")
    name = (saved.get("experiment") or {}).get("name")
    if name != EXPERIMENT:
        raise ConfigError([f"folder={folder}: experiment.name={name!r} hides nothing; permitted: {EXPERIMENT}"])
    return resumed_config(folder, [])


def _numbers_of(config: StudyConfig, trials: Sequence[int] | None, top: int) -> list[int]:
    """Return the numbers of the trials that are meant."""
    rows = {row["trial"]: row for row in read_parts(config.output)}
    if trials is not None:
        missing = [number for number in trials if number not in rows]
        if missing:
            known = ", ".join(map(str, rows)) or "none"
            raise ConfigError([f"--trials: trial {number} is not finished; finished are {known}" for number in missing])
        return list(dict.fromkeys(trials))
    if top < 1:
        raise ConfigError([f"--top={top}: must be at least 1"])
    ranked = sorted(
        (judged(row, config.objective, config.space.strata) for row in rows.values()), key=lambda trial: trial.rank
    )
    best = [trial.number for trial in ranked if trial.feasible and trial.measured]
    if not best:
        raise ConfigError([f"--top={top}: no trial is within every bound; name trials with --trials"])
    return best[:top]


def _load(config: StudyConfig, numbers: Sequence[int]) -> list[Chosen]:
    """Read the subverters and the data; every problem at once."""
    import torch

    from models.checks.config import CheckConfig
    from models.data import load_splits
    from models.hiding.loading import WEIGHTS, load_subverter
    from models.honest import inputs_and_labels, originals_battery
    from models.laundering.survival import Trial

    device = "cuda" if torch.cuda.is_available() else "cpu"
    faces, splits = load_splits(config.data, config.cache)
    problems, subverters = [], {}
    for number in numbers:
        try:
            found = load_subverter(artifact_folder(config.output, number), device)
        except ValueError as error:
            problems.append(f"trial {number}: {error}")
            continue
        if found.data != faces.fingerprint:
            problems.append(f"trial {number}: it was trained on other images than data has now; restore those")
        subverters[number] = found
    if problems:
        raise ConfigError(problems)
    inputs, labels = inputs_and_labels(faces, splits)
    fingerprint = {"data": faces.fingerprint, "split": dict(config.data.get("split", {}))}
    checks = CheckConfig.from_mapping(config.adversaries)

    def originals(channel: Channel) -> OriginalsBattery:
        return originals_battery(
            inputs, labels, checks, fingerprint, channel=channel, seed=config.seed, device=device, cache=config.cache
        )

    return [
        Chosen(
            number,
            Trial(subverter, inputs, labels, originals(subverter.channel), config.seed),
            _digest(artifact_folder(config.output, number) / WEIGHTS),
        )
        for number, subverter in subverters.items()
    ]


def _launder(chosen: Chosen, steps: Sequence[str]) -> Iterator[Row]:
    """Yield the row of each step."""
    from models.laundering.steps import launderers
    from models.laundering.survival import survival
    from models.randomness import numpy_generator

    trial, config = chosen.trial, chosen.trial.subverter.config
    device = str(next(trial.subverter.generator.parameters()).device)
    known = launderers(trial.held, seed=trial.subverter.seed, device=device)
    for step in steps:
        start = time.monotonic()
        laundered = known[step](trial.published, numpy_generator(trial.subverter.seed, "laundering", step))
        measured = survival(laundered, trial)
        yield {
            "trial": chosen.number,
            "step": step,
            "weights": chosen.weights,
            "family": config.family,
            "secret": config.secret,
            "channel": str(trial.subverter.channel),
            "strength": config.strength,
            "images": len(laundered),
            **columns_of(measured),
            "seconds": time.monotonic() - start,
        }


def _describe(row: Row) -> str:
    parts = [f"{row['step']:<11}"]
    for name, label in (
        ("secret_accuracy", "secret accuracy"),
        ("reconstruction_ssim", "SSIM"),
        ("bit_error_rate", "bit errors"),
        ("expression_accuracy", "expression accuracy"),
    ):
        if row[name] is not None:
            parts.append(f"{label} {row[name]:.3f}")
    return ", ".join(parts)


def _digest(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()[:16]


def _numbers(text: str) -> list[int]:
    try:
        return [int(part) for part in text.split(",")]
    except ValueError:
        raise argparse.ArgumentTypeError(f"{text!r}: must be trial numbers joined by commas, such as 3,12") from None


if __name__ == "__main__":
    sys.exit(main())
