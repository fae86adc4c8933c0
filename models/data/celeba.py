"""CelebA (aligned and cropped) as it is published: photographs of well-known people with 40 binary attributes.

``img_align_celeba/*.jpg`` of 178 x 218 pixels, of which the middle square is used, and text files whose columns are
separated by one or more spaces:

- ``list_attr_celeba.txt``: the number of images, the names of the attributes, then a line an image with 1 or -1 each;
- ``identity_CelebA.txt``: file and number of the person;
- ``list_eval_partition.txt``: file and 0 (train), 1 (validation) or 2 (test). Optional; ``split.by: official`` uses it.

They may lie together, as torchvision lays them out, or in the folders of the download, ``Img``, ``Anno`` and ``Eval``.
202,599 images of 10,177 people say the publishers; most have too few for identification, so people are selected.

Reference: Z. Liu, P. Luo, X. Wang, X. Tang. Deep Learning Face Attributes in the Wild. ICCV 2015.
https://mmlab.ie.cuhk.edu.hk/projects/CelebA.html
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from models.data.listing import Listing
from models.data.procedural import size_problems
from models.data.splits import listed

IMAGES = "img_align_celeba"
ATTRIBUTES = "list_attr_celeba.txt"
IDENTITIES = "identity_CelebA.txt"
PARTITION = "list_eval_partition.txt"

_FOLDERS = ("", "Img", "Anno", "Eval")  # where the download has them


@dataclass(frozen=True)
class CelebAConfig:
    """Where CelebA lies, which of its people are used, and how large the images become."""

    root: Path
    """The folder that holds ``img_align_celeba`` and the text files."""
    size: int = 64
    """Height and width, pixels: a power of two, >= 32."""
    attribute: str = "Smiling"
    """Attribute that sanitised images must still show, as ``list_attr_celeba.txt`` names it."""
    identities: int = 100
    """People: those with most images, of equals those with the lower number; 0 takes all."""
    min_images: int = 20
    """Fewest images a person must have to be taken, >= 1."""

    def problems(self) -> list[str]:
        """Say what is out of range, one line a field; none if all is well. Does not open the folder.

        Raises:
            Nothing.
        """
        found = size_problems(self.size)
        if self.identities < 0 or self.identities == 1:
            found.append(f"identities = {self.identities}; must be a whole number >= 2, or 0 for all")
        if self.min_images < 1:
            found.append(f"min_images = {self.min_images}; must be a whole number >= 1")
        return found

    def listing(self) -> Listing:
        """Read the text files and select people.

        Raises:
            OSError: If a file cannot be read.
        """
        if not self.root.is_dir():
            return Listing(problems=[f"is not a folder; give the one that holds {IMAGES} and {ATTRIBUTES}"])
        problems: list[str] = []
        images = _find(self.root, IMAGES, problems)
        attributes = _read_attributes(_find(self.root, ATTRIBUTES, problems), problems)
        people = _read_column(_find(self.root, IDENTITIES, problems), problems)
        partition = _read_column(_find(self.root, PARTITION, []), problems, permitted=("0", "1", "2"))
        if attributes.rows and self.attribute not in attributes.names:
            known = ", ".join(attributes.names)
            problems.append(f"{ATTRIBUTES} has no attribute {self.attribute!r}; give data.attribute one of {known}")
        for name, other in ((IDENTITIES, people), (PARTITION, partition)):
            if without := [file for file in attributes.rows if other and file not in other]:
                problems.append(f"{name} lacks {len(without)} images of {ATTRIBUTES}: {listed(without)}; get it again")
        chosen = set() if problems else self._chosen(Counter(people[file] for file in attributes.rows), problems)
        if problems or images is None:
            return Listing(problems=problems)
        files = [file for file in attributes.rows if people[file] in chosen]
        return self._listing(files, images.relative_to(self.root), attributes, people, partition)

    def _chosen(self, counts: Counter[str], problems: list[str]) -> set[str]:
        """Return the people to use, given how many images each has."""
        enough = [person for person, count in counts.items() if count >= self.min_images]
        if len(enough) < max(2, self.identities):
            problems.append(
                f"{len(enough)} of {len(counts)} people have at least data.min_images={self.min_images} images, and "
                f"data.identities={self.identities or 'all of them, at least 2'} are asked for: lower one of the two"
            )
        enough.sort(key=lambda person: (-counts[person], int(person)))
        return set(enough[: self.identities or None])

    def _listing(
        self,
        files: list[str],
        folder: Path,
        attributes: _Attributes,
        people: Mapping[str, str],
        partition: Mapping[str, str],
    ) -> Listing:
        columns = list(zip(*(attributes.rows[file] for file in files), strict=True))
        labels = dict(zip(attributes.names, columns, strict=True))
        shown = {"1": self.attribute, "0": f"not {self.attribute}"}
        return Listing(
            files=[(folder / file).as_posix() for file in files],
            identity=[people[file] for file in files],
            expression=[shown[value] for value in labels[self.attribute]],
            attributes=labels,
            official=[int(partition[file]) for file in files] if partition else None,
            named_by=ATTRIBUTES,
            remedy="extract the archive again",
        )


@dataclass(frozen=True)
class _Attributes:
    names: list[str]
    rows: dict[str, list[str]]  # file to "1" or "0" by attribute


def _find(root: Path, name: str, problems: list[str]) -> Path | None:
    for folder in _FOLDERS:
        if (root / folder / name).exists():
            return root / folder / name
    places = ", ".join(folder for folder in _FOLDERS if folder)
    problems.append(f"has no {name}, nor do its folders {places}; give the folder that holds it with data.root=PATH")
    return None


def _lines(path: Path, problems: list[str]) -> list[list[str]] | None:
    try:
        return [line.split() for line in path.read_text(encoding="utf-8").splitlines()]
    except (OSError, UnicodeDecodeError) as error:
        problems.append(f"{path.name} cannot be read: {error}")
        return None


def _read_attributes(path: Path | None, problems: list[str]) -> _Attributes:
    """Read the table; what is wrong with it is added to ``problems``."""
    lines = _lines(path, problems) if path else None
    if lines is None:
        return _Attributes([], {})
    names, rows = lines[1] if len(lines) > 1 else [], {}
    numbers = [number for number, line in enumerate(lines, 1) if number > 2 and line]
    wrong = []
    for number in numbers:
        file, *values = lines[number - 1]
        if len(values) == len(names) and all(value in ("1", "-1") for value in values) and file not in rows:
            rows[file] = ["1" if value == "1" else "0" for value in values]
        else:
            wrong.append(f"line {number}")
    if wrong or not rows:
        problems.append(
            f"{ATTRIBUTES} must have the number of images, a line of attribute names, then once an image its file and "
            f"1 or -1 for each of them; not so: {listed(wrong) or 'no line'}"
        )
    elif lines[0] != [str(len(rows))]:
        problems.append(f"{ATTRIBUTES} announces {' '.join(lines[0])} images and lists {len(rows)}; get it again")
    return _Attributes(names, rows)


def _read_column(path: Path | None, problems: list[str], permitted: tuple[str, ...] = ()) -> dict[str, str]:
    """Read a file of two columns, file and number; what is wrong with it is added to ``problems``."""
    lines = _lines(path, problems) if path else None
    rows, wrong = {}, []
    for number, line in enumerate(lines or [], 1):
        if len(line) == 2 and (line[1] in permitted if permitted else line[1].isdecimal()) and line[0] not in rows:
            rows[line[0]] = line[1]
        elif line:
            wrong.append(f"line {number}")
    if path and lines is not None and (wrong or not rows):
        values = f"one of {', '.join(permitted)}" if permitted else "a whole number"
        problems.append(
            f"{path.name} must have a line an image, its file and {values}; not so: {listed(wrong) or 'no line'}"
        )
    return rows
