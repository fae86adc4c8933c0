"""Results of benchmark runs, kept in a file as they finish, so that what was measured is not measured again."""

from __future__ import annotations

import json
import os
import tempfile
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from itertools import product
from pathlib import Path
from typing import Any

from filelock import FileLock

TUNED_ON = range(10)
"""Seeds on which the sampler ``bayesian`` was tuned, and the ones that are run unless others are named."""


@dataclass(frozen=True)
class ResultFile:
    """A JSON file of results by ``method/problem/seed``, a line each."""

    path: Path

    def load(self) -> dict[str, Any]:
        """Return what was measured."""
        return json.loads(self.path.read_text()) if self.path.exists() else {}

    def keep(self, name: str, result: Any) -> None:
        """Add one result; several processes may do so at once."""
        with FileLock(Path(tempfile.gettempdir()) / f"{self.path.name}.lock"):
            results = self.load() | {name: result}
            lines = ",\n".join(f"{json.dumps(key)}: {json.dumps(results[key])}" for key in sorted(results))
            temporary = self.path.with_suffix(".writing")
            temporary.write_text("{\n" + lines + "\n}\n")
            os.replace(temporary, self.path)

    def complete(
        self,
        run: Callable[[str, str, int], Any],
        methods: Sequence[str],
        problems: Sequence[str],
        seeds: Iterable[int],
        minutes: float,
    ) -> None:
        """Run whatever is not there yet, seed by seed, until the time is used up."""
        end = time.monotonic() + 60 * minutes
        for seed, problem, method in product(seeds, problems, methods):
            name = f"{method}/{problem}/{seed}"
            if name in self.load():
                continue
            if time.monotonic() > end:
                print(f"{minutes:g} minutes are over; the same command continues")
                return
            result = run(method, problem, seed)
            self.keep(name, result)
            print(f"{name}: {result}", flush=True)


def row_names(results: Iterable[str]) -> list[str]:
    """Return the methods of results, this project's first."""
    return sorted({name.split("/")[0] for name in results}, key=lambda name: (not name.startswith("study"), name))
