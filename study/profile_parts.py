"""Which part of a trial the program is in, and for how long: read off its own stack, a hundred times a second.

The stack already knows which training or check is under way, so that nothing in the models has to announce it.
"""

from __future__ import annotations

import sys
import threading
import time
from collections import defaultdict
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from types import FrameType

PARTS: Mapping[str, str] = {
    "models.data.loading.load_splits": "data",
    "models.ppgan.training.train_ppgan": "PP-GAN",
    "models.ppgan.release.sanitise": "sanitising",
    "models.checks.originals.fit_on_originals": "adversaries on originals",
    "models.checks.battery.judge_honest": "honest baseline",
    "models.hiding.codec.train_codec": "compressor",
    "models.hiding.sampled.extractor.train_extractor": "extractor of noise",
    "models.hiding.learned.training.LearnedTraining.run_epoch": "embedder",
    "models.hiding.learned.fine_tuning.FineTuning.run_epoch": "joint fine-tuning",
    "models.checks.battery.judge_release": "check",
    "models.representation.material.representation_material": "instruments",
    "models.representation.training.RepresentationTraining.run_epoch": "encoder and adversary",
    "models.representation.judges.fit_judge": "judge",
    "models.representation.white_box.invert": "inversion",
    "study.subversion_signals.SignalProbe.in_training": "signals",
    "study.subversion_signals.SignalProbe.of_release": "signals",
    "study.subversion_trial.SubversionTrial._hide": "hiding and reading",
}
"""Functions whose whole time is a part's, as module and qualified name; the outermost one on the stack counts."""

STEGANALYSIS, CLASSIFIER = "models.checks.steganalysis.detection.detect", "models.checks.fitting.train_classifier"
OTHER = "other"
"""Name of the time that is in none of the parts."""

INTERVAL = 0.01
"""Seconds between two looks at the stack."""


def part_of(frame: FrameType | None) -> str:
    """Return the part that a stack is in, the check and its adversary included: "check: steganalysis"."""
    part, detail = OTHER, ""
    while frame is not None:
        name = f"{frame.f_globals.get('__name__')}.{frame.f_code.co_qualname}"
        if name == STEGANALYSIS:
            detail = "steganalysis"
        elif name == CLASSIFIER and not detail:
            detail = str(frame.f_locals.get("name", ""))
        if name in PARTS:
            part = PARTS[name]
            metric = frame.f_locals.get("metric")
            if isinstance(metric, str) and detail not in ("", "steganalysis"):
                detail = metric
        frame = frame.f_back
    return f"{part}: {detail}" if detail else part


@dataclass
class Spent:
    """Time of one part in one stage."""

    wall: float = 0.0
    """Seconds by the clock."""
    processor: float = 0.0
    """Seconds of processor, all threads of this process added up."""


class PartTimes:
    """Time by stage and part; filled while :meth:`watching`."""

    def __init__(self) -> None:
        """Begin with nothing spent."""
        self.spent: dict[tuple[str, str], Spent] = defaultdict(Spent)
        self._unnamed: dict[str, Spent] = defaultdict(Spent)

    @contextmanager
    def watching(self) -> Iterator[None]:
        """Look at the calling thread's stack until the block ends; its stage is named afterwards by :meth:`name`."""
        thread, ended = threading.get_ident(), threading.Event()
        watcher = threading.Thread(target=self._watch, args=(thread, ended), daemon=True)
        watcher.start()
        try:
            yield
        finally:
            ended.set()
            watcher.join()

    def _watch(self, thread: int, ended: threading.Event) -> None:
        wall, processor = time.perf_counter(), time.process_time()
        while True:
            over = ended.wait(INTERVAL)
            part = part_of(sys._current_frames().get(thread))
            now, used = time.perf_counter(), time.process_time()
            self._unnamed[part].wall += now - wall
            self._unnamed[part].processor += used - processor
            wall, processor = now, used
            if over:
                return

    def name(self, stage: str) -> None:
        """Book what was watched since the last call under a stage."""
        for part, found in self._unnamed.items():
            booked = self.spent[stage, part]
            booked.wall += found.wall
            booked.processor += found.processor
        self._unnamed.clear()
