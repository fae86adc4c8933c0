"""One vocabulary of how a trial ends, and one table of what follows from it.

Facts about a configuration (it diverged, a check could not measure it, it does not fit into memory) are told to Optuna
as complete and infeasible, so that the sampler learns to stay away: failed trials teach it nothing. Faults of machines
and of code say nothing about a configuration; they are told as failed, and run again up to a limit.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class Outcome(StrEnum):
    """How a trial ended; the values are those of the ``outcome`` column of the records."""

    OK = "ok"
    """Finished, every check inside its bound."""
    INFEASIBLE = "infeasible"
    """Finished, at least one check outside its bound."""
    CHECK_MISSING = "check_missing"
    """Finished, but a check is NaN, absent, crashed or has no adversary that may vote."""
    OBJECTIVE_MISSING = "objective_missing"
    """Finished, but an objective that is searched for is NaN or absent."""
    DIVERGED = "diverged"
    """Training left the finite numbers."""
    OUT_OF_MEMORY = "out_of_memory"
    """The configuration did not fit into memory."""
    STOPPED_EARLY = "stopped_early"
    """A scheduler stopped it before it was measured."""
    PREEMPTED = "preempted"
    """Its worker or machine was lost, or the study was interrupted."""
    CRASHED = "crashed"
    """The code raised an error that is none of the above."""


class Told(StrEnum):
    """State that Optuna is told."""

    COMPLETE = "complete"
    PRUNED = "pruned"
    FAIL = "fail"


@dataclass(frozen=True)
class Rule:
    """What follows from an outcome."""

    told: Told
    """State told to Optuna once the trial is not run again; while it is to be run again, it is told FAIL."""
    at_clip: bool
    """Whether every margin is at its worst, because the trial as a whole was not measured."""
    reruns: int
    """How often the same configuration is run again, under a new trial number, before the outcome stands."""


RULES: dict[Outcome, Rule] = {
    Outcome.OK: Rule(Told.COMPLETE, at_clip=False, reruns=0),
    Outcome.INFEASIBLE: Rule(Told.COMPLETE, at_clip=False, reruns=0),
    # Only the check that is missing is at its worst; the others taught something.
    Outcome.CHECK_MISSING: Rule(Told.COMPLETE, at_clip=False, reruns=0),
    Outcome.OBJECTIVE_MISSING: Rule(Told.COMPLETE, at_clip=True, reruns=0),
    Outcome.DIVERGED: Rule(Told.COMPLETE, at_clip=True, reruns=0),
    # Memory may have been short because of a neighbour: once more before it counts against the configuration.
    Outcome.OUT_OF_MEMORY: Rule(Told.COMPLETE, at_clip=True, reruns=1),
    Outcome.STOPPED_EARLY: Rule(Told.PRUNED, at_clip=True, reruns=0),
    # A lost worker was replaced WORKER_RESTARTS times before, under the same trial number.
    Outcome.PREEMPTED: Rule(Told.FAIL, at_clip=True, reruns=0),
    # A full disk passes, a bug does not: one more try tells them apart at the price of one trial.
    Outcome.CRASHED: Rule(Told.FAIL, at_clip=True, reruns=1),
}

WORKER_RESTARTS = 3
"""How often a trial whose worker died continues from its last checkpoint before it counts as preempted."""
