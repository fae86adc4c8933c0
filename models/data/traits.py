"""Attributes of the procedural faces that can be seen: what each person looks like, and what the expression does.

Every attribute is "1" or "0" an image. Those of a person are the same in all of that person's images.
"""

from __future__ import annotations

import numpy as np

from models.data.appearance import EXPRESSION_TABLE, HAIR_STYLES, People

ATTRIBUTES = ("mouth_open", "smiling", "frowning", "eyes_wide", "glasses", "stubble", "long_hair")
"""Names of the attributes; the first four come with the expression, the others with the person."""

_OPEN = 0.05  # opening of the mouth above and below its line, together
_WIDE = 1.0  # opening of the eyes above their middle
_LONG = 0.5  # y down to which long hair hangs


def visible_attributes(cast: People, identity: np.ndarray, expression: np.ndarray) -> dict[str, tuple[str, ...]]:
    """Return the attributes of some images by name, in the order of ``ATTRIBUTES``.

    Args:
        cast: The people.
        identity: int64 (images,), row of ``cast``.
        expression: int64 (images,), index into ``EXPRESSIONS``.

    Returns:
        "1" or "0" for each image.
    """
    table, hair = EXPRESSION_TABLE, HAIR_STYLES
    of_expression = {
        "mouth_open": table.mouth_upper + table.mouth_lower > _OPEN,
        "smiling": table.mouth_curve > 0,
        "frowning": table.brow_height < 0,
        "eyes_wide": table.lid_upper > _WIDE,
    }
    of_person = {
        "glasses": cast.glasses > 0,
        "stubble": cast.stubble > 0,
        "long_hair": hair.bottom[cast.hair_style] > _LONG,
    }
    seen = {name: column[expression] for name, column in of_expression.items()}
    seen |= {name: column[identity] for name, column in of_person.items()}
    return {name: tuple("1" if value else "0" for value in seen[name]) for name in ATTRIBUTES}
