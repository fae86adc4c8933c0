"""``python -m study.final_training best=FILE``: train a selected configuration for good.

At full length and resolution if asked (``epochs=``, ``data.size=``), under several seeds (``seeds=``), on any number of
GPUs or CPU workers (``workers=``), which share every batch. The code is that of a trial: one worker and the trial's own
seed give the trial's own weights. At the end the battery of an audit judges the images kept for it, and a model card
says what came of it. Run it again to go on after an interrupt.
"""

from __future__ import annotations

import json
import shutil
import sys
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import yaml

from models.hiding.loading import WEIGHTS
from models.measurement import Control, Measurement
from study.config import ConfigError
from study.durable import write_text_durably
from study.evaluation import metrics_of
from study.experiments import load_experiment
from study.final_plan import FinalPlan, plan_final
from study.folder import locked
from study.model_card import CARD, model_card
from study.objective import score, unmeasured
from study.outcomes import Outcome
from study.progress import duration
from study.records import Epoch, FinishedTrial, Records
from study.replicate_records import ReplicateRecords
from study.replication import combine
from study.trial_run import artifact_folder

OK, UNFINISHED, BAD_CONFIGURATION, INTERRUPTED = 0, 1, 2, 130
SETTINGS = "final.yaml"
HELP = """usage: python -m study.final_training best=FILE [key=value ...]

best=FILE          a selection made by python -m analysis select DIR
trial_number=N     which of its configurations, where it holds several
epochs=N           passes of the sanitiser over the training images; everything else gets longer in the same
                   proportion (default: the lengths of the study)
seeds=N            trainings under different seeds; the first has the trial's own (default: 1)
workers=N          workers that share every batch: GPUs, or CPU workers (default: all GPUs, else 1)
output=DIR         where to write (default: studies/NAME-final)
checks=NAME        the battery that judges at the end (default: thorough where there is one)
data.size=64, data.root=DIR, trial.stage_one.width=64, cluster=..., cache=..., ...
                   fields of the study's configuration"""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command and return its exit code."""
    arguments = list(sys.argv[1:] if arguments is None else arguments)
    if {"-h", "--help", "help"} & set(arguments):
        print(HELP)
        return OK
    try:
        return run_final(plan_final(arguments))
    except ConfigError as error:
        print(f"{error}\npython -m study.final_training --help lists every option.", file=sys.stderr)
        return BAD_CONFIGURATION
    except KeyboardInterrupt:
        print("interrupted; the same command goes on from the last checkpoint")
        return INTERRUPTED


def run_final(plan: FinalPlan) -> int:
    """Train every seed that is not trained yet, judge, and write records and model card.

    Raises:
        ConfigError: If the output holds another final training, or another process writes to it.
    """
    from study.driver import on_ray  # Ray takes a second to import
    from study.final_group import group_size, train_seed

    output = plan.config.output
    with locked(output):
        _keep_settings(plan)
        print(f"final training of trial {plan.number} of {plan.config.name} in {output}")
        print(f"the sanitiser trains {plan.epochs:.3g} epochs; checks: {plan.checks}, on the {plan.judged_on} images")
        missing = [index for index in range(plan.seeds) if not _ended(plan, index)]
        if missing:
            with on_ray(plan.config) as share:
                plan = replace(plan, workers=group_size(plan, share))
                for index in missing:
                    _keep_workers(plan, index)
                    folder = seed_folder(plan, index)
                    folder.mkdir(parents=True, exist_ok=True)
                    print(f"seed {index + 1} of {plan.seeds}: {plan.seeds_of(index)[0]}", flush=True)
                    with _told(folder):
                        error = train_seed(plan, index, folder, share)
                    if error and not _ended(plan, index):
                        print(f"seed {index + 1} failed: {error}; the same command goes on", file=sys.stderr)
                        return UNFINISHED
        _finish(plan)
    return OK


def seed_folder(plan: FinalPlan, index: int) -> Path:
    """Return the folder of one seed, where its weights lie."""
    return artifact_folder(plan.config.output, plan.number, index)


def _ended(plan: FinalPlan, index: int) -> bool:
    from study.final_worker import DIVERGED, RESULT

    folder = seed_folder(plan, index)
    return (folder / RESULT).exists() or (folder / DIVERGED).exists()


def _keep_settings(plan: FinalPlan) -> None:
    """Write what this training is; refuse to go on with another."""
    path = plan.config.output / SETTINGS
    settings = json.loads(json.dumps(_settings(plan)))
    workers = _workers(plan)
    if path.exists():
        earlier = yaml.safe_load(path.read_text())
        if different := [name for name in settings if earlier.get(name) != settings[name]]:
            raise ConfigError([f"{path}: that training had another {name}; give output=DIR" for name in different])
    _write_settings(path, settings | {"seeds": plan.seeds, "workers": workers})


def _keep_workers(plan: FinalPlan, index: int) -> None:
    """Add to the settings how many workers train a seed; another number than before an interrupt is added to that."""
    path, workers = plan.config.output / SETTINGS, _workers(plan)
    workers[index] = list(dict.fromkeys([*workers.get(index, ()), plan.workers]))
    _write_settings(path, yaml.safe_load(path.read_text()) | {"workers": workers})


def _workers(plan: FinalPlan) -> dict[int, list[int]]:
    """Return how many workers trained each seed, by its index, as far as it is recorded."""
    path = plan.config.output / SETTINGS
    found = yaml.safe_load(path.read_text()).get("workers") if path.exists() else None
    return found if isinstance(found, dict) else {}


def _write_settings(path: Path, settings: dict[str, Any]) -> None:
    write_text_durably(path, yaml.safe_dump(settings, sort_keys=False, width=120))


def _settings(plan: FinalPlan) -> dict[str, Any]:
    bounds = {bound.check: bound.text for bound in plan.config.objective.bounds}
    checks = {"name": plan.checks, "adversaries": plan.config.adversaries, "bounds": bounds}
    settings: dict[str, Any] = {"study": plan.config.name, "trial_number": plan.number, "trial": plan.trial}
    settings |= {"data": plan.config.data, "checks": checks, "seed": plan.seed, "shared_seed": plan.config.seed}
    return settings


@contextmanager
def _told(folder: Path) -> Iterator[None]:
    """Print the lines of the first worker as it writes them."""
    from study.final_worker import PROGRESS

    path, done = folder / PROGRESS, threading.Event()
    path.unlink(missing_ok=True)

    def tell() -> None:
        position, last = 0, False
        while not last:
            last = done.wait(0.5)
            if path.exists():
                with path.open() as file:
                    file.seek(position)
                    for line in file:
                        print(f"  {line}", end="", flush=True)
                    position = file.tell()

    thread = threading.Thread(target=tell, daemon=True)
    thread.start()
    try:
        yield
    finally:
        done.set()
        thread.join()


def _finish(plan: FinalPlan) -> None:
    """Write records, the model's weights and the model card."""
    output, infos = (
        plan.config.output,
        metrics_of(load_experiment(plan.config.experiment), plan.config.data, plan.config.adversaries),
    )
    records = Records(plan.config, infos)
    replicates = ReplicateRecords(output, records)
    seeds = [_recorded(plan, index) for index in range(plan.seeds)]
    for index, one in enumerate(seeds):
        replicates.write(one, index)
    whole = combine(plan.config.objective, infos, seeds)
    records.write(whole)
    records.merge()
    replicates.merge()
    weights = seed_folder(plan, 0) / WEIGHTS
    if weights.exists():
        shutil.copyfile(weights, output / WEIGHTS)
    write_text_durably(output / CARD, model_card(plan, whole, seeds, _workers(plan)))
    shutil.rmtree(output / "train", ignore_errors=True)
    primary = plan.config.objective.searched[0].name
    failed = [check for check, margin in whole.score.margins.items() if margin > 0]
    print(f"{whole.score.outcome}, {primary} {whole.score.objectives[primary]:.3f}, {duration(whole.seconds)}")
    print("within every bound by estimate" if not failed else f"beyond {', '.join(failed)}")
    print(f"model card: {output / CARD}\nuse it:     from models import final; model = final.load({str(output)!r})")


def _recorded(plan: FinalPlan, index: int) -> FinishedTrial:
    """Return the record of one seed from what its first worker left."""
    from study.final_worker import DIVERGED, RESULT

    folder, objective = seed_folder(plan, index), plan.config.objective
    infos = metrics_of(load_experiment(plan.config.experiment), plan.config.data, plan.config.adversaries)
    seed = plan.seeds_of(index)[0]
    if not (folder / RESULT).exists():
        error = (folder / DIVERGED).read_text().strip()
        judged = unmeasured(objective, Outcome.DIVERGED)
        return FinishedTrial(plan.number, plan.parameters, seed, judged, {}, (), (), 0.0, time.time(), error)
    result = json.loads((folder / RESULT).read_text())
    metrics = {name: Measurement.from_dict(fields) for name, fields in result["metrics"].items()}
    return FinishedTrial(
        number=plan.number,
        parameters=plan.parameters,
        seed=seed,
        score=score(objective, infos, metrics),
        metrics=metrics,
        controls=tuple(Control.from_dict(fields) for fields in result["controls"]),
        history=tuple(Epoch(**item) for item in result["history"]),
        seconds=result["seconds"],
        finished=(folder / RESULT).stat().st_mtime,
    )


if __name__ == "__main__":
    sys.exit(main())
