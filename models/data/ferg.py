"""FERG-DB, the Facial Expression Research Group's database of six animated characters, as it is published.

``FERG_DB_256/<character>/<character>_<expression>/*.png``, 256 x 256 with a transparent background; 55,767 images say
the publishers. What is transparent becomes white, as in the public loaders that keep the alpha channel; how the
authors of PPRL-VGAN read it is not published, only that they reduced it to 64 x 64.

One file of the published set is faulty: ``bonnie/bonnie_surprise/bonnie_surprise_1389.png`` is left out by every
public loader found that names files. It is treated as any other file that cannot be read: refused by name, and left
out on request.

Reference: D. Aneja, A. Colburn, G. Faigin, L. Shapiro, B. Mones. Modeling Stylized Character Expressions via Deep
Learning. ACCV 2016. https://grail.cs.washington.edu/projects/deepexpr/ferg-2d-db.html
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from models.data.listing import Listing, visible
from models.data.procedural import size_problems
from models.data.splits import listed

CHARACTERS = ("aia", "bonnie", "jules", "malcolm", "mery", "ray")
EXPRESSIONS = ("anger", "disgust", "fear", "joy", "neutral", "sadness", "surprise")

FOLDER = "FERG_DB_256"


@dataclass(frozen=True)
class FergConfig:
    """Where FERG-DB lies, and how large its images become."""

    root: Path
    """The folder ``FERG_DB_256``."""
    size: int = 64
    """Height and width, pixels: a power of two, >= 32."""
    skip_unreadable: bool = False
    """Whether files that cannot be read, as one of the published set, are left out instead of refused."""

    def problems(self) -> list[str]:
        """Say what is out of range, one line a field; none if all is well. Does not open the folder.

        Raises:
            Nothing.
        """
        return size_problems(self.size)

    def listing(self) -> Listing:
        """List the images of each character and expression. A set with fewer characters or expressions is accepted.

        Raises:
            OSError: If a folder cannot be read.
        """
        files: list[tuple[str, str, str]] = []
        problems = []
        if not self.root.is_dir():
            problems.append(f"is not a folder; give the folder {FOLDER}")
        elif (self.root / FOLDER).is_dir():
            problems.append(f"holds the folder {FOLDER}; give that one: data.root={self.root / FOLDER}")
        else:
            files, problems = self._walk()
        return Listing(
            files=[file for file, _, _ in files],
            identity=[character for _, character, _ in files],
            expression=[expression for _, _, expression in files],
            problems=problems,
            remedy="replace them, or leave them out with data.skip_unreadable=true (one file of the published set, "
            "bonnie_surprise_1389.png, is faulty)",
            skip_unreadable=self.skip_unreadable,
        )

    def _walk(self) -> tuple[list[tuple[str, str, str]], list[str]]:
        """Return (file, character, expression) of each image, and what is wrong with the folders."""
        files, problems, unknown, empty = [], [], [], []
        for character in [name for name in visible(self.root) if (self.root / name).is_dir()]:
            if character not in CHARACTERS:
                unknown.append(character)
                continue
            for name in [name for name in visible(self.root / character) if (self.root / character / name).is_dir()]:
                expression = name.removeprefix(f"{character}_")
                if expression not in EXPRESSIONS or name == expression:
                    unknown.append(f"{character}/{name}")
                    continue
                images = [image for image in visible(self.root / character / name) if image.endswith(".png")]
                files += [(f"{character}/{name}/{image}", character, expression) for image in images]
                if not images:
                    empty.append(f"{character}/{name}")
        if unknown:
            problems.append(
                f"folders that FERG-DB does not have: {listed(unknown)}; expected <character>/<character>_<expression> "
                f"with {', '.join(CHARACTERS)} and {', '.join(EXPRESSIONS)}: remove them"
            )
        if empty:
            problems.append(f"folders without a PNG file: {listed(empty)}; extract the archive again, or remove them")
        if not files and not problems:
            problems.append(f"has no <character>/<character>_<expression>/*.png; give the folder {FOLDER}")
        return files, problems
