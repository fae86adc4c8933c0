"""Who else is told of a running study: TensorBoard always, MLflow and Weights & Biases when they are named.

The last two are Ray's own callbacks; they get the numbers that workers report with every step.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any

from ray import tune

from study.event_files import EventFiles
from study.trainable import REPORT, TASK
from study.trial_run import TrialTask

if TYPE_CHECKING:
    from study.config import StudyConfig

PACKAGES = {"mlflow": "mlflow", "wandb": "wandb"}
"""Names that ``callbacks`` may hold, and the package that each needs."""


class TensorBoardCallback(tune.Callback):
    """Passes every report on to the event files."""

    def __init__(self, files: EventFiles, say: Callable[[str], None]) -> None:
        """Keep the files; ``say`` tells a person once if they cannot be written."""
        self._files, self._say = files, say

    def on_trial_result(self, iteration: int, trials: list[Any], trial: Any, result: dict[str, Any], **_: Any) -> None:
        """Write one report."""
        told = self._files.problem
        self._files.take(TrialTask(**trial.config[TASK]), result[REPORT])
        if self._files.problem != told:
            self._say(str(self._files.problem))

    def on_experiment_end(self, trials: list[Any], **_: Any) -> None:
        """Close what trials that were interrupted left open."""
        self._files.close()


def callback_problems(names: Any) -> list[str]:
    """Return what is wrong with ``callbacks``, a line each: a name that is unknown, or a package that is missing."""
    if not isinstance(names, Sequence) or isinstance(names, str) or not all(isinstance(name, str) for name in names):
        return [f"callbacks={names!r} must be a list of {', '.join(PACKAGES)}, as in callbacks=[mlflow]"]
    found = [
        f"callbacks={name!r} is unknown; permitted: {', '.join(PACKAGES)}" for name in names if name not in PACKAGES
    ]
    return found + [
        f"callbacks={name}: the package {PACKAGES[name]} is not installed: pip install {PACKAGES[name]}"
        for name in names
        if name in PACKAGES and find_spec(PACKAGES[name]) is None
    ]


def guard(callback: tune.Callback, name: str, say: Callable[[str], None]) -> None:
    """Switch a callback off with its first exception, which is said: a tracker that is away must not end a study."""
    off = False

    def guarded(hook: Callable[..., None]) -> Callable[..., None]:
        def call(*args: Any, **info: Any) -> None:
            nonlocal off
            if off:
                return
            try:
                hook(*args, **info)
            except Exception as error:
                off = True
                reason = " ".join(f"{type(error).__name__}: {error}".split())[:200]
                say(f"warning: callbacks={name} is switched off ({reason}); the records are not affected")

        return call

    for hook in ("setup", *(one for one in dir(callback) if one.startswith("on_"))):
        setattr(callback, hook, guarded(getattr(callback, hook)))


def named_callbacks(config: StudyConfig, say: Callable[[str], None]) -> list[tune.Callback]:
    """Return Ray's callbacks that the study names; ``say`` tells a person of one that fails."""
    made: list[tune.Callback] = []
    for name in config.resolved.get("callbacks") or ():
        if name == "mlflow":
            from ray.air.integrations.mlflow import MLflowLoggerCallback

            # A folder of files, its former default, is what MLflow 3 refuses.
            uri = os.environ.get("MLFLOW_TRACKING_URI", f"sqlite:///{config.output}/mlflow.db")
            made.append(MLflowLoggerCallback(tracking_uri=uri, experiment_name=config.name))
        else:
            from ray.air.integrations.wandb import WandbLoggerCallback

            made.append(WandbLoggerCallback(project=config.name, dir=str(config.output)))
        guard(made[-1], name, say)
    return made
