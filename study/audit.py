"""``python -m study.audit DIR``: judge the short list of a study again, by what its search never saw.

Every configuration is trained anew under fresh seeds, those of everything that trials of the study shared included
(sanitiser, honest baseline, compressor), by a thorough battery, on the images that the data keep for it. Records appear
in ``DIR/audit`` as those of a study do, one a configuration and seed, so that an audit that was killed goes on where it
was; at its end ``optimism.parquet`` and ``audit.yaml`` say what the search's estimates lost.
"""

from __future__ import annotations

import argparse
import shutil
import sys
import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from study.audit_plan import AuditPlan, plan_audit
from study.audit_results import AGAIN, SETTINGS, require_same, write_results, write_settings
from study.config import ConfigError
from study.evaluation import metrics_of
from study.experiments import load_experiment
from study.folder import StudyFolder, locked
from study.objective import score, unmeasured
from study.outcomes import Outcome
from study.progress import duration
from study.records import FinishedTrial, Records
from study.remote import folder_problems
from study.replicate_records import ReplicateRecords
from study.replication import combine
from study.resources import Plan
from study.trial_run import TrialTask, WorkerReport

OK, BAD_CONFIGURATION, UNFINISHED, INTERRUPTED = 0, 2, 1, 130
"""Exit codes; UNFINISHED where a seed could not be run."""


def parser() -> argparse.ArgumentParser:
    """Return the parser of the command line."""
    made = argparse.ArgumentParser(
        prog="python -m study.audit",
        description="Train the short list of a study again under fresh seeds and judge it by checks and images that "
        "the search never saw. Run it again to go on after an interrupt.",
    )
    made.add_argument("folder", type=Path, metavar="DIR", help="folder that `python -m study` wrote")
    chosen = made.add_mutually_exclusive_group()
    chosen.add_argument("--top", type=int, default=3, metavar="K", help="best feasible trials to audit (default: 3)")
    chosen.add_argument("--selected", type=Path, metavar="FILE", help="a best.yaml instead of the best feasible trials")
    made.add_argument("--seeds", type=int, default=3, metavar="N", help="fresh seeds of each (default: 3)")
    made.add_argument("--output", metavar="DIR", help="where to write (default: DIR/audit)")
    made.add_argument(
        "overrides",
        nargs="*",
        metavar="KEY=VALUE",
        help="checks=NAME: the battery (default: thorough where there is one for the experiment, else the study's "
        "own), with its fields as checks.adversaries...; and of the study resources, cluster, cache, checkpoint_every",
    )
    return made


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command and return its exit code."""
    options = parser().parse_intermixed_args(arguments)
    try:
        if problems := folder_problems("--output ", options.output or ""):
            raise ConfigError(problems)
        plan = plan_audit(
            options.folder,
            top=options.top,
            selected=options.selected,
            seeds=options.seeds,
            output=Path(options.output) if options.output else None,
            overrides=options.overrides,
        )
        return run_audit(plan)
    except ConfigError as error:
        print(f"{error}\npython -m study.audit --help lists every option.", file=sys.stderr)
        return BAD_CONFIGURATION
    except KeyboardInterrupt:
        print("interrupted; seeds that were finished are recorded; the same command goes on")
        return INTERRUPTED


def run_audit(plan: AuditPlan) -> int:
    """Run what is not recorded yet, write the results and say them.

    Raises:
        ConfigError: If the output holds another audit, or another process writes to it.
    """
    from study.driver import on_ray  # Ray takes a second to import

    audit = Audit(plan)
    with locked(plan.config.output) as folder:
        require_same(plan)
        write_settings(plan)
        audit.say_beginning()
        if audit.missing():
            with on_ray(plan.config) as share:
                audit.run(folder, share)
        return audit.finish()


class Audit:
    """The records of an audit, and what is still to be run."""

    def __init__(self, plan: AuditPlan) -> None:
        """Open the records."""
        self._plan = plan
        self._infos = metrics_of(load_experiment(plan.config.experiment), plan.config.data, plan.config.adversaries)
        self._records = Records(plan.config, self._infos)
        self._seeds = ReplicateRecords(plan.config.output, self._records)

    def recorded(self, number: int) -> dict[int, FinishedTrial]:
        """Return the seeds of one trial that are recorded and count, by their number."""
        parameters = next(one.parameters for one in self._plan.short_list if one.number == number)
        found = self._seeds.read(number, parameters)
        return {seed: trial for seed, trial in found.items() if seed < self._plan.seeds}

    def missing(self) -> list[tuple[int, int]]:
        """Return trial and seed of all that is to be run, seed by seed, so that what they share is made once."""
        done = {one.number: self._final(one.number) for one in self._plan.short_list}
        pairs = ((one.number, seed) for seed in range(self._plan.seeds) for one in self._plan.short_list)
        return [(number, seed) for number, seed in pairs if seed not in done[number]]

    def _final(self, number: int) -> dict[int, FinishedTrial]:
        found = self.recorded(number)
        return {seed: trial for seed, trial in found.items() if trial.score.outcome not in AGAIN}

    def say_beginning(self) -> None:
        """Say what is going to happen, and what it costs."""
        plan, missing = self._plan, self.missing()
        total = len(plan.short_list) * plan.seeds
        trials = ", ".join(str(one.number) for one in plan.short_list)
        print(f"audit of {plan.config.name} in {plan.config.output}: trial {trials}, {plan.seeds} fresh seeds each")
        print(f"checks: {plan.checks}; images kept for the audit; sanitiser and honest baseline anew under every seed")
        if len(missing) < total:
            print(f"{total - len(missing)} of {total} are recorded already")
        if missing:
            seconds = sum(self._forecast([pair for pair in missing if pair[1] == seed]) for seed in range(plan.seeds))
            print(f"about {duration(seconds)} of one CPU core (from reference timings, not measured here)", flush=True)

    def _forecast(self, pairs: list[tuple[int, int]]) -> float:
        if not pairs:
            return 0.0
        plan = self._plan
        trials = [one.trial for number, _ in pairs for one in plan.short_list if one.number == number]
        experiment = load_experiment(plan.config.experiment)
        return experiment.forecast_seconds(trials, plan.config.data, plan.config.adversaries, "cpu")

    def run(self, folder: StudyFolder, share: Plan) -> None:
        """Run what is missing and record it as it ends."""
        from study.task_pool import run_tasks

        folder.begin_run()
        missing = self.missing()
        total = len(self._plan.short_list) * self._plan.seeds
        done = total - len(missing)
        for task, report in run_tasks([self._task(pair, folder.run, share) for pair in missing], share):
            trial = self._finished(task, report)
            self._seeds.write(trial, task.replicate)
            folder.drop_checkpoints(task.number, task.replicate)
            done += 1
            self._say_ended(trial, task.replicate, f"[{done}/{total}]")

    def _task(self, pair: tuple[int, int], run: int, share: Plan) -> TrialTask:
        number, seed = pair
        plan = self._plan
        own, shared = plan.fresh_seeds(number, seed)
        return TrialTask(
            experiment=plan.config.experiment,
            number=number,
            trial=next(one.trial for one in plan.short_list if one.number == number),
            seed=own,
            shared_seed=shared,
            data=plan.config.data,
            checks=plan.config.adversaries,
            folder=str(plan.config.output),
            run=run,
            cache=str(plan.config.cache),
            device=share.device,
            threads=max(1, int(share.cpus)),
            checkpoint_every=plan.config.checkpoint_every,
            replicate=seed,
        )

    def _finished(self, task: TrialTask, report: WorkerReport) -> FinishedTrial:
        objective = self._plan.config.objective
        judged = report.fault is None
        return FinishedTrial(
            number=task.number,
            parameters=next(one.parameters for one in self._plan.short_list if one.number == task.number),
            seed=task.seed,
            score=score(objective, self._infos, report.metrics)
            if judged
            else unmeasured(objective, report.fault or Outcome.CRASHED),
            metrics=report.metrics,
            controls=report.controls,
            history=report.history,
            seconds=report.seconds,
            finished=time.time(),
            error=report.error,
        )

    def _say_ended(self, trial: FinishedTrial, seed: int, place: str) -> None:
        primary = self._plan.config.objective.searched[0].name
        row = next(one.row for one in self._plan.short_list if one.number == trial.number)
        failed = [check for check, margin in trial.score.margins.items() if margin > 0]
        within = "within every bound" if not failed else f"beyond {', '.join(failed)}"
        text = f"{place} trial {trial.number}, seed {seed}: {trial.score.outcome}, {within}; {primary} "
        text += f"{trial.score.objectives[primary]:.3f} (search {row[f'objective.{primary}']:.3f}), "
        print(text + duration(trial.seconds) + (f"; {trial.error}" if trial.error else ""), flush=True)

    def finish(self) -> int:
        """Write one record a configuration and what the search's estimates lost; return the exit code."""
        plan = self._plan
        combined = []
        for one in plan.short_list:
            seeds = self.recorded(one.number)
            trial = combine(plan.config.objective, self._infos, [seeds[seed] for seed in sorted(seeds)])
            trial = replace(trial, finished=time.time())
            self._records.write(trial)
            combined.append((one, trial, [seeds[seed] for seed in sorted(seeds)]))
        self._records.merge()
        self._seeds.merge()
        for line in write_results(plan, self._infos, combined):
            print(line)
        left = self.missing()
        if left:
            print(f"{len(left)} seeds gave no result; the same command runs them again", file=sys.stderr)
            return UNFINISHED
        shutil.rmtree(plan.config.output / "checkpoints", ignore_errors=True)
        print(f"{plan.config.output / SETTINGS}; python -m analysis report {plan.study} shows both")
        return OK


if __name__ == "__main__":
    sys.exit(main())
