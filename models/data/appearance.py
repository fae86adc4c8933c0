"""Who the procedural faces are and what they express: traits of people, hair styles and the seven expressions.

Everything is a table of plain numbers in face coordinates: the image spans [-1, 1] in both directions, x to the right
and y **down**, so one unit is half an image. ``drawing`` turns these numbers into pixels, ``procedural`` decides which
person shows which expression in which image.
"""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import TypeVar

import numpy as np

EXPRESSIONS = ("anger", "disgust", "fear", "joy", "neutral", "sadness", "surprise")

_SKINS = np.array(
    [(250, 221, 201), (240, 195, 160), (222, 170, 128), (192, 138, 96), (156, 104, 70), (122, 78, 54)], np.float32
)
_HAIRS = np.array(
    [(38, 34, 40), (92, 58, 38), (158, 74, 34), (232, 196, 108), (150, 152, 164), (200, 78, 52), (44, 92, 126)],
    np.float32,
)
_IRISES = np.array([(74, 44, 28), (52, 112, 168), (66, 130, 78), (104, 110, 124)], np.float32)
_TRAITS = 16  # unit-interval numbers that make up one look
_CANDIDATES = 24  # looks drawn for each person, of which the one least like everybody before is kept

Table = TypeVar("Table", "People", "Hair", "Expression")


@dataclass(frozen=True)
class People:
    """Looks of several people, one row a person: float32 (people,), colours float32 (people, 3) in [0, 1]."""

    skin: np.ndarray  # colour
    hair: np.ndarray  # colour
    iris: np.ndarray  # colour
    hair_style: np.ndarray  # int64, row of HAIR_STYLES
    glasses: np.ndarray  # 0 none, 1 round, 2 square
    stubble: np.ndarray  # opacity of hair colour on the jaw
    face_width: np.ndarray  # half width of the head
    face_height: np.ndarray  # half height of the head
    jaw: np.ndarray  # narrowing from forehead to chin
    squareness: np.ndarray  # 0 oval .. 1 box
    eye_spacing: np.ndarray  # distance of an eye from the middle line
    eye_size: np.ndarray  # half width of an eye
    nose_width: np.ndarray  # half width
    nose_length: np.ndarray  # half height
    brow_thickness: np.ndarray  # half thickness
    mouth_width: np.ndarray  # factor on the width an expression asks for


@dataclass(frozen=True)
class Hair:
    """Hair styles, one row a style, float32 (styles,)."""

    side: np.ndarray  # how far the hair stands out beside the head
    top: np.ndarray  # how far it rises above the head; negative hides it
    bottom: np.ndarray  # y down to which it hangs behind the head
    line: np.ndarray  # y of the hairline in the middle of the forehead; -1 leaves the forehead bare
    line_tilt: np.ndarray  # slope of the hairline from left to right
    line_drop: np.ndarray  # slope of the hairline from the middle to both sides
    knot_x: np.ndarray  # centre of a knot (mirrored), from the middle line
    knot_y: np.ndarray  # centre of a knot
    knot_width: np.ndarray  # half width of a knot; 0 for none
    knot_height: np.ndarray  # half height of a knot


@dataclass(frozen=True)
class Expression:
    """Mouth, brows and eyes of each expression, one row an expression, float32 (expressions,)."""

    mouth_curve: np.ndarray  # > 0 smiles
    mouth_upper: np.ndarray  # opening above the mouth's line
    mouth_lower: np.ndarray  # opening below the mouth's line
    mouth_width: np.ndarray  # half width
    mouth_tilt: np.ndarray  # rise of the left corner over the right one
    teeth: np.ndarray  # share of the opening that shows teeth, from above
    tongue: np.ndarray  # share of the opening that shows the tongue, from below
    brow_height: np.ndarray  # rise of both brows
    brow_angle: np.ndarray  # > 0 raises the inner ends
    brow_arch: np.ndarray  # how far the ends hang below the middle
    brow_skew: np.ndarray  # rise of the left brow over the right one
    lid_upper: np.ndarray  # opening of the eye above its middle, in its own height
    lid_lower: np.ndarray  # opening below; negative closes the eye to an arch


def _table(kind: type[Table], rows: tuple[tuple[float, ...], ...]) -> Table:
    columns = np.array(rows, np.float32).T
    return kind(*columns)


HAIR_STYLES = _table(
    Hair,
    (
        # side, top, bottom, line, tilt, drop, knot: x, y, width, height
        (0.00, -0.50, -0.20, -1.00, 0.00, 0.00, 0.00, 0.00, 0.00, 0.00),  # bald
        (0.04, 0.10, 0.10, -0.36, 0.00, 0.20, 0.00, 0.00, 0.00, 0.00),  # cropped
        (0.15, 0.12, 0.66, -0.25, 0.00, 0.05, 0.00, 0.00, 0.00, 0.00),  # bob with a fringe
        (0.15, 0.10, 1.30, -0.66, 0.00, 0.90, 0.00, 0.00, 0.00, 0.00),  # long, parted in the middle
        (0.06, 0.18, 0.20, -0.36, 0.50, 0.05, 0.00, 0.00, 0.00, 0.00),  # swept to one side
        (0.24, 0.24, 0.30, -0.38, 0.00, 0.25, 0.00, 0.00, 0.00, 0.00),  # full and round
        (0.03, 0.08, 0.00, -0.46, 0.00, 0.40, 0.00, -0.84, 0.24, 0.20),  # bun on top
        (0.03, 0.08, 0.00, -0.42, 0.00, 0.25, 0.58, -0.60, 0.24, 0.24),  # two buns
        (0.00, -0.50, -0.20, -1.00, 0.00, 0.00, 0.00, -0.66, 0.17, 0.36),  # crest
    ),
)

EXPRESSION_TABLE = _table(
    Expression,
    (
        # mouth: curve, upper, lower, width, tilt, teeth, tongue; brows: height, angle, arch, skew; lids: upper, lower
        (-0.10, 0.10, 0.10, 0.30, 0.00, 1.00, 0.00, -0.14, -0.15, 0.00, 0.00, 0.50, 0.75),  # anger
        (-0.14, 0.02, 0.12, 0.24, 0.10, 0.00, 0.80, -0.10, -0.02, 0.02, 0.07, 0.35, 0.40),  # disgust
        (-0.12, 0.09, 0.13, 0.33, 0.00, 0.25, 0.00, 0.06, 0.15, 0.02, 0.00, 1.30, 1.20),  # fear
        (0.18, 0.02, 0.17, 0.34, 0.00, 0.40, 0.30, 0.05, 0.00, 0.07, 0.00, 0.90, -0.25),  # joy
        (0.00, 0.00, 0.00, 0.22, 0.00, 0.00, 0.00, 0.00, 0.00, 0.02, 0.00, 0.95, 0.95),  # neutral
        (-0.20, 0.00, 0.00, 0.26, 0.00, 0.00, 0.00, 0.02, 0.15, 0.00, 0.00, 0.35, 0.95),  # sadness
        (0.00, 0.19, 0.22, 0.19, 0.00, 0.00, 0.00, 0.16, 0.00, 0.09, 0.00, 1.30, 1.20),  # surprise
    ),
)


def rows(table: Table, index: np.ndarray) -> Table:
    """Take rows of a table, shaped to broadcast over images (rows, height, width).

    Args:
        table: ``People``, ``Hair`` or ``Expression``.
        index: Row of each image, int64 (images,).

    Returns:
        The same kind of table; every field has shape (images, 1, 1), colours (images, 3, 1, 1).

    Raises:
        IndexError: If an index has no row.
    """
    taken = {field.name: getattr(table, field.name)[index][..., None, None] for field in fields(table)}
    return type(table)(**taken)


def people(count: int, seed: int) -> People:
    """Draw people who differ clearly from each other.

    Args:
        count: Number of people, >= 1.
        seed: Seed of the whole cast, >= 0.

    Returns:
        Traits of ``count`` people. Person i is the same for every ``count`` > i.

    Raises:
        ValueError: If ``count`` or ``seed`` is out of range.

    Notes:
        Best-candidate sampling (Mitchell 1991): each person is, of 24 random looks, the one whose nearest earlier
        person is farthest away. Costs O(count^2).
    """
    if count < 1 or seed < 0:
        raise ValueError(f"count={count}, seed={seed}: count must be >= 1 and seed >= 0")
    chosen: list[np.ndarray] = []
    points = np.empty((count, len(_visible(np.zeros((1, _TRAITS)))[0])))
    for person in range(count):
        looks = np.random.default_rng((seed, 0, person)).random((_CANDIDATES, _TRAITS))
        visible = _visible(looks)
        best = 0
        if person:
            gaps = np.square(visible[:, None] - points[None, :person]).sum(axis=2)
            best = int(gaps.min(axis=1).argmax())
        chosen.append(looks[best])
        points[person] = visible[best]
    return _people(np.array(chosen))


def _pick(unit: np.ndarray, choices: int) -> np.ndarray:
    return np.minimum((unit * choices).astype(np.int64), choices - 1)


def _ramp(unit: np.ndarray, colours: np.ndarray) -> np.ndarray:
    place = unit * (len(colours) - 1)
    low = np.minimum(place.astype(np.int64), len(colours) - 2)
    part = (place - low)[:, None]
    return ((1 - part) * colours[low] + part * colours[low + 1]).astype(np.float32) / 255


def _people(looks: np.ndarray) -> People:
    """Turn unit-interval looks, (people, _TRAITS), into traits."""

    def between(column: int, low: float, high: float) -> np.ndarray:
        return (low + (high - low) * looks[:, column]).astype(np.float32)

    tint = between(3, 0.88, 1.10)[:, None]
    return People(
        skin=_ramp(looks[:, 0], _SKINS),
        hair=np.clip(_HAIRS[_pick(looks[:, 1], len(_HAIRS))] / 255 * tint, 0, 1).astype(np.float32),
        iris=_IRISES[_pick(looks[:, 2], len(_IRISES))] / 255,
        hair_style=_pick(looks[:, 4], len(HAIR_STYLES.side)),
        glasses=np.maximum(_pick(looks[:, 5], 5) - 2, 0),  # three in five wear none
        stubble=np.where(looks[:, 6] > 0.75, 0.4, 0).astype(np.float32),
        face_width=between(7, 0.56, 0.68),
        face_height=between(8, 0.66, 0.76),
        jaw=between(9, 0.00, 0.22),
        squareness=between(10, 0.1, 0.8),
        eye_spacing=between(11, 0.24, 0.31),
        eye_size=between(12, 0.14, 0.18),
        nose_width=between(13, 0.05, 0.11),
        nose_length=between(14, 0.07, 0.13),
        brow_thickness=between(15, 0.035, 0.075),
        mouth_width=between(7, 0.94, 1.06),  # wide faces have wide mouths
    )


def _visible(looks: np.ndarray) -> np.ndarray:
    """Place looks where the distance between two people says how different they look."""
    traits = _people(looks)
    one_hot = [
        0.6 * np.eye(len(HAIR_STYLES.side))[traits.hair_style],
        0.5 * np.eye(3)[traits.glasses],
        2.0 * traits.skin,
        1.2 * traits.hair * (traits.hair_style > 0)[:, None],
    ]
    return np.concatenate([*one_hot, 0.4 * looks[:, 6:], 0.3 * traits.iris], axis=1)
