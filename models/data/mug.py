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

from collections.abc import Iterator, Mapping, Sequence
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
        people = [name for name in visible(self.root) if (self.root / name).is_dir()]
        unknown: list[str] = []
        takes = [take for person in people for take in self._takes(person, unknown)]
        frames = {take: [name for name in visible(self.root / take) if name.lower().endswith(".jpg")] for take in takes}
        group = [take for take, names in frames.items() for _ in names]
        return Listing(
            files=[f"{take}/{name}" for take, names in frames.items() for name in names],
            identity=[take.split("/")[0] for take in group],
            expression=[take.split("/")[-2] for take in group],
            group=group,
            problems=_problems(people, frames, unknown),
            remedy="extract the archive again, or remove them",
        )

    def _takes(self, person: str, unknown: list[str]) -> Iterator[str]:
        """Yield a person's folders of takes, relative to the root; others are added to ``unknown``."""
        inner = f"{person}/{person}" if (self.root / person / person).is_dir() else person
        for expression in self._folders(inner):
            if expression.rpartition("/")[2] not in EXPRESSIONS:
                unknown.append(expression)
                continue
            for take in self._folders(expression):
                if take.rpartition("/")[2].startswith("take"):
                    yield take
                else:
                    unknown.append(take)

    def _folders(self, folder: str) -> list[str]:
        names = [f"{folder}/{name}" for name in visible(self.root / folder)]
        return [name for name in names if (self.root / name).is_dir()]


def _problems(people: Sequence[str], frames: Mapping[str, Sequence[str]], unknown: Sequence[str]) -> list[str]:
    problems = []
    if unknown:
        problems.append(
            f"folders that are neither a take nor one of {', '.join(EXPRESSIONS)}: {listed(unknown)}; expected "
            "<person>/<expression>/take*: remove or rename them"
        )
    seen = {take.split("/")[0] for take in frames}
    if without := [person for person in people if person not in seen]:
        problems.append(f"people without a take: {listed(without)}; expected <person>/<expression>/take*/*.jpg")
    if empty := [take for take, names in frames.items() if not names]:
        problems.append(f"takes without a JPEG file: {listed(empty)}; extract the archive again, or remove them")
    if not people:
        problems.append(f"has no <person>/<expression>/take*/*.jpg; give the folder {FOLDER}")
    return problems
