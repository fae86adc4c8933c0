"""Weights are removed as a study goes: those of trials that ``study.keeping`` does not keep.

Only safetensors go, wherever they lie below a trial's artifacts; gallery, configuration and errors are small and the
report needs them. Weights of trials that are not finished, and their checkpoints, are counted and left alone. Each file
goes at once or not at all, and what follows from the records is done again at every start, so that a driver may be
killed at any moment.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable, Collection, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from study.keeping import GIGABYTE, Decision, Judged, decide, judged
from study.outcomes import Outcome
from study.records import read_parts

if TYPE_CHECKING:
    from study.config import StudyConfig

WEIGHTS = ".safetensors"
REMOVED = "weights_removed.txt"
"""What lies in the artifacts of a trial instead of its weights; ``analysis.weights`` looks for it."""


class Quota:
    """Keeps a study folder within ``keep``."""

    def __init__(self, config: StudyConfig, say: Callable[[str], None]) -> None:
        """Keep the settings; nothing is read or removed yet.

        Args:
            config: The study.
            say: Prints a line for people.
        """
        self._config, self._say = config, say
        self._trials: dict[int, Judged] = {}
        self._sizes: dict[int, int] = {}
        self._decision = Decision(frozenset(), frozenset(), frozenset(), front_too_large=False)
        self._said: set[str] = set()

    def catch_up(self, told: Collection[int]) -> None:
        """Remove what the records of all finished trials say; a killed driver may not have come to it."""
        if self._config.keep is None:
            return
        self._take("*.parquet", told)
        self._apply()

    def finish(self, told: Collection[int]) -> None:
        """Catch up, and say what is kept."""
        self.catch_up(told)
        if described := self.describe():
            self._say(described)

    def told(self, number: int) -> None:
        """Take a trial that was recorded and told, and remove what is no longer to be kept."""
        if self._config.keep is not None:
            self._take(f"{number:05d}.parquet", [number])
            self._apply()

    def describe(self) -> str:
        """Return what is kept, for people; empty where there are no weights or everything is kept."""
        with_weights = [number for number, size in self._sizes.items() if size]
        removed = len(list((self._config.output / "artifacts").glob(f"*/{REMOVED}")))
        if not with_weights and not removed:
            return ""
        size = sum(self._sizes.values()) / GIGABYTE
        front = len(self._decision.front & set(with_weights))
        text = (
            f"weights kept: {len(with_weights)} trials ({front} on a front), {size:.2f} GB; removed: {removed} trials"
        )
        return f"{text} (keep.best, keep.gigabytes)" if removed else text

    def _take(self, parts: str, told: Collection[int]) -> None:
        """Take the trials of the records whose file names match, unless they may go on."""
        for row in read_parts(self._config.output, parts):
            if row["outcome"] != Outcome.PREEMPTED or row["trial"] in told:
                trial = judged(row, self._config.objective, self._config.space.strata)
                self._trials[trial.number] = trial
                self._sizes[trial.number] = _bytes(_weights(self._artifacts(trial.number)))

    def _apply(self) -> None:
        keep = self._config.keep
        assert keep is not None
        self._decision = decide(list(self._trials.values()), self._sizes, self._held(), keep)
        removed = [number for number in self._trials if number not in self._decision.kept and self._remove(number)]
        if given_up := self._decision.given_up.intersection(removed):
            listed = ", ".join(map(str, sorted(given_up)))
            self._say(
                f"keep.gigabytes={keep.gigabytes:g} is full: removed the weights of trials {listed}, though among the "
                f"best {keep.best}"
            )
        if self._decision.front_too_large:
            self._say_once(
                f"warning: weights of the front and checkpoints of running trials alone exceed keep.gigabytes="
                f"{keep.gigabytes:g}; they are kept"
            )

    def _remove(self, number: int) -> bool:
        """Remove the weights of a trial and return whether there were any."""
        folder = self._artifacts(number)
        paths = list(_weights(folder)) if self._sizes[number] else []
        if not paths:
            return False
        try:
            (folder / REMOVED).write_text(
                "The weights of this trial were removed while the study went on (keep.best, keep.gigabytes).\n"
                "config.yaml holds its configuration and its seed.\n"
            )
            for path in paths:
                path.unlink(missing_ok=True)
        except OSError as error:
            self._say_once(f"warning: weights cannot be removed ({error})")
            return False
        self._sizes[number] = 0
        return True

    def _held(self) -> int:
        """Return the bytes of trials that are not finished: their checkpoints, and weights they have written."""
        checkpoints = _bytes(_files(self._config.output / "checkpoints"))
        folders = [] if not (artifacts := self._config.output / "artifacts").is_dir() else list(artifacts.iterdir())
        running = [path for path in folders if not path.name.isdigit() or int(path.name) not in self._trials]
        return checkpoints + sum(_bytes(_weights(folder)) for folder in running)

    def _artifacts(self, number: int) -> Path:
        return self._config.output / "artifacts" / str(number)

    def _say_once(self, text: str) -> None:
        if text not in self._said:
            self._said.add(text)
            self._say(text)


def _files(folder: Path) -> Iterator[Path]:
    """Yield all files below a folder in which others write and remove."""
    for parent, _, names in os.walk(folder):
        yield from (Path(parent) / name for name in names)


def _weights(folder: Path) -> Iterator[Path]:
    return (path for path in _files(folder) if path.suffix == WEIGHTS)


def _bytes(paths: Iterator[Path]) -> int:
    total = 0
    for path in paths:
        with contextlib.suppress(OSError):  # others rename and remove them meanwhile
            total += path.stat().st_size
    return total
