"""The MUG facial expression database as it is published: takes of people who act an expression, frame by frame.

``subjects3/<person>/<expression>/take*/*.jpg``. Some copies have ``<person>/<person>/<expression>``, which is read as
well. Neighbouring frames of a take are almost the same image: with one in train and the other in test, every adversary
would seem to recognise what it only remembers. So a take lies on one side of every split, always. (The authors of
PPRL-VGAN say that 85 % of the frames of each video train and the rest test; figures measured that way are not
comparable.)

Reference: N. Aifanti, C. Papachristou, A. Delopoulos. The MUG Facial Expression Database. WIAMIS 2010.
https://mug.ee.auth.gr/fed/
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from models.data.listing import Listing, visible
from models.data.procedural import size_problems
from models.data.splits import listed

EXPRESSIONS = ("anger", "disgust", "fear", "happiness", "neutral", "sadness", "surprise")

FOLDER = "subjects3"


@dataclass(frozen=True)
class MugConfig:
    """Where the MUG database lies, and how large its images become."""

    root: Path
    """The folder ``subjects3``."""
    size: int = 64
    """Height and width, pixels: a power of two, >= 32."""

    def problems(self) -> list[str]:
        """Say what is out of range, one line a field; none if all is well. Does not open the folder.

        Raises:
            Nothing.
        """
        return size_problems(self.size)

    def listing(self) -> Listing:
        """List the frames of each take, which is their group. Some people or expressions may be absent.

        Raises:
            OSError: If a folder cannot be read.
        """
        if not self.root.is_dir():
            return Listing(problems=[f"is not a folder; give the folder {FOLDER}"])
        if (self.root / FOLDER).is_dir():
            return Listing(problems=[f"holds the folder {FOLDER}; give that one: data.root={self.root / FOLDER}"])
        files, group, empty = [], [], []
        takes = list(self._takes())
        for take in takes:
            frames = [frame for frame in visible(self.root / take) if frame.lower().endswith(".jpg")]
            files += [f"{take}/{frame}" for frame in frames]
            group += [take] * len(frames)
            if not frames:
                empty.append(take)
        problems = []
        if without := [person for person in self._people() if not any(take.startswith(f"{person}/") for take in takes)]:
            problems.append(f"people without a take: {listed(without)}; expected <person>/<expression>/take*/*.jpg")
        if empty:
            problems.append(f"takes without a JPEG file: {listed(empty)}; extract the archive again, or remove them")
        if not takes and not without:
            problems.append(f"has no <person>/<expression>/take*/*.jpg; give the folder {FOLDER}")
        return Listing(
            files=files,
            identity=[take.split("/")[0] for take in group],
            expression=[take.split("/")[-2] for take in group],
            group=group,
            problems=problems,
            remedy="extract the archive again, or remove them",
        )

    def _people(self) -> list[str]:
        return [name for name in visible(self.root) if (self.root / name).is_dir()]

    def _takes(self) -> Iterator[str]:
        """Folders of takes, relative to the root."""
        for person in self._people():
            inner = f"{person}/{person}" if (self.root / person / person).is_dir() else person
            for expression in EXPRESSIONS:
                folder = self.root / inner / expression
                if folder.is_dir():
                    names = [name for name in visible(folder) if name.startswith("take") and (folder / name).is_dir()]
                    yield from (f"{inner}/{expression}/{name}" for name in names)
