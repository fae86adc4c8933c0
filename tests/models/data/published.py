"""Small trees in exactly the formats in which FERG-DB, MUG and CelebA are published; every image is different."""

from __future__ import annotations

from itertools import count
from pathlib import Path

import numpy as np
from PIL import Image

FERG_EXPRESSIONS = ("anger", "disgust", "fear", "joy", "neutral", "sadness", "surprise")
MUG_EXPRESSIONS = ("anger", "disgust", "fear", "happiness", "neutral", "sadness", "surprise")
CELEBA_NAMES = ("Eyeglasses", "Male", "Smiling")


def write_picture(path: Path, number: int, size: tuple[int, int] = (40, 40), mode: str = "RGB") -> None:
    """Write a picture of coarse squares that differs from every other number's, also after JPEG and resizing."""
    squares = np.random.default_rng(number).integers(0, 256, (4, 4, 3), np.uint8)
    picture = Image.fromarray(squares).resize(size, Image.Resampling.NEAREST).convert(mode)
    if mode == "RGBA":
        picture.putalpha(Image.new("L", size, 255))
        picture.paste((90, 80, 70, 0), (0, 0, 8, 8))  # transparent, with a colour below
    path.parent.mkdir(parents=True, exist_ok=True)
    picture.save(path)


def draw_ferg(root: Path, characters: tuple[str, ...] = ("bonnie", "ray"), images: int = 3) -> Path:
    """Draw ``FERG_DB_256`` with some characters, all expressions and as many images of each pair."""
    folder, number = root / "FERG_DB_256", count()
    for character in characters:
        for expression in FERG_EXPRESSIONS:
            for index in range(1, images + 1):
                name = f"{character}/{character}_{expression}/{character}_{expression}_{index}.png"
                write_picture(folder / name, next(number), mode="RGBA")
    return folder


def draw_mug(
    root: Path, people: tuple[str, ...] = ("001", "002"), takes: int = 3, frames: int = 4, nested: str = ""
) -> Path:
    """Draw ``subjects3`` with two expressions of each person; ``nested`` names one with the folder twice."""
    folder, number = root / "subjects3", count()
    for person in people:
        base = folder / person / person if person == nested else folder / person
        for expression in ("anger", "happiness"):
            for take in range(takes):
                for frame in range(frames):
                    write_picture(base / expression / f"take{take:03d}" / f"img_{frame:04d}.jpg", next(number))
    return folder


def draw_celeba(root: Path, images_of: tuple[int, ...] = (6, 6, 4), folders: bool = False) -> Path:
    """Draw CelebA with as many images of each person; the splits of its publishers have disjoint people.

    ``folders`` lays it out as the download does.
    """
    images, texts, evaluation = (root / part if folders else root for part in ("Img", "Anno", "Eval"))
    people = [person for person, number in enumerate(images_of, 1) for _ in range(number)]
    rows, identity, partition = [], [], []
    for index, person in enumerate(people, 1):
        file = f"{index:06d}.jpg"
        write_picture(images / "img_align_celeba" / file, index, (178, 218))
        values = ("-1", " 1" if person % 2 else "-1", " 1" if index % 2 else "-1")
        rows.append(f"{file} {' '.join(values)}")
        identity.append(f"{file} {person}")
        partition.append(f"{file} {min(person - 1, 2)}")
    for folder, name, lines in (
        (texts, "list_attr_celeba.txt", [str(len(rows)), " ".join(CELEBA_NAMES) + " ", *rows]),
        (texts, "identity_CelebA.txt", identity),
        (evaluation, "list_eval_partition.txt", partition),
    ):
        folder.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text("\n".join(lines) + "\n")
    return root
