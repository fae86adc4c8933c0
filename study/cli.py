"""The command line: compose, resolve and check; then explain, forecast, or run."""

from __future__ import annotations

import shlex
import sys
from collections.abc import Sequence
from pathlib import Path

import yaml

from study.compose import SEARCH_SPACES, compose_config
from study.config import ConfigError, StudyConfig, read_config
from study.help import help_text
from study.resume import resumed_config

OK, BAD_CONFIGURATION, INTERRUPTED = 0, 2, 130
"""Exit codes."""


def main(arguments: Sequence[str] | None = None, folder: Path = SEARCH_SPACES) -> int:
    """Run the command and return its exit code.

    Args:
        arguments: Overrides, as typed; the process's own by default.
        folder: The Hydra tree.
    """
    arguments = list(sys.argv[1:] if arguments is None else arguments)
    if {"-h", "--help", "help"} & set(arguments):
        print(help_text(folder))
        return OK
    try:
        config = resolve(arguments, folder)
        if config.dry_run:
            return dry_run(config)
        if config.profile:
            from study.profile import profile_trial  # imports torch, which the driver does without

            return profile_trial(config)
        return launch(config)
    except ConfigError as error:
        print(f"{error}\npython -m study --help lists every option.", file=sys.stderr)
        return BAD_CONFIGURATION


def resolve(arguments: Sequence[str], folder: Path = SEARCH_SPACES) -> StudyConfig:
    """Return the resolved configuration.

    Raises:
        ConfigError: If anything is wrong with overrides or values; names every problem of both.
    """
    resumed = [argument for argument in arguments if argument.startswith("resume=") and argument != "resume=null"]
    if resumed:
        others = [argument for argument in arguments if not argument.startswith("resume=")]
        return resumed_config(Path(resumed[-1].removeprefix("resume=")), others, folder)
    composed = compose_config(arguments, folder)
    return read_config(composed.values, composed.fixed, composed.problems)


def dry_run(config: StudyConfig) -> int:
    """Print the resolved configuration, the data and the forecast cost; write only decoded images, to the cache."""
    from study.forecast import forecast
    from study.resources import detect_cpus, detect_gpus, plan

    print(yaml.safe_dump(config.resolved, sort_keys=False, allow_unicode=True, width=120))
    _say_data(config)
    for note in config.warm_start.notes:
        print(note)
    print(forecast(config, plan(config.resources, detect_cpus(), detect_gpus())).describe())
    return OK


def launch(config: StudyConfig) -> int:
    """Run the study and say what to do with its folder."""
    from study.driver import run_study  # Ray takes a second to import; explaining and checking do not need it

    _say_data(config)
    again = f"python -m study resume={shlex.quote(shown_path(config.output))}"
    try:
        finished = run_study(config)
    except ConfigError:
        raise
    except KeyboardInterrupt:  # before the first trial or after the last; in between Ray takes the signal
        finished = False
    except Exception:
        print(f"failed; what was finished is recorded; to continue: {again}", file=sys.stderr)
        raise
    if not finished:
        print(f"interrupted; what was finished is recorded; to continue: {again}")
    print(f"study folder: {config.output}")
    print(f"report:       python -m analysis report {config.output}")
    return OK if finished else INTERRUPTED


def _say_data(config: StudyConfig) -> None:
    """Print what data from files hold, and what was left out of them."""
    if not config.data:
        return
    from models.data import described

    text = described(config.data, config.cache)
    if text is not None:
        print(f"data: {text}")


def shown_path(path: Path) -> str:
    """Return a path as a person here would type it: relative where it is below the current folder."""
    return str(path.relative_to(Path.cwd()) if path.is_relative_to(Path.cwd()) else path)
