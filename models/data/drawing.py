"""Draw faces from signed-distance shapes: traits, expression and pose in, pixels out.

A shape is a distance, negative inside, in face coordinates (one unit is half an image, y down). It is painted with a
coverage that falls from 1 to 0 across one sample, at twice the final resolution; averaging 2 x 2 samples gives a pixel.

Only sums, products, quotients, square roots and comparisons touch pixels. These are rounded alike wherever a pixel lies
in memory, so an image never depends on the images that are drawn along with it.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from models.data.appearance import Expression, Hair, People

Colour = tuple[float, float, float]

_SUPERSAMPLING = 2
_INK: Colour = (0.13, 0.09, 0.10)
_WHITE: Colour = (0.98, 0.98, 0.97)
_MOUTH: Colour = (0.34, 0.06, 0.10)
_LIP = np.array([0.22, 0.02, 0.04], np.float32)[:, None, None]  # added to a tenth of the skin
_TONGUE: Colour = (0.88, 0.38, 0.40)
_SHIRT: Colour = (0.44, 0.50, 0.60)
_FRAME: Colour = (0.10, 0.10, 0.16)
_EYE_Y, _NOSE_Y, _MOUTH_Y, _BROW_Y = -0.06, 0.15, 0.43, -0.31
_CROWN_Y = -0.15  # above it the hair is a dome, below it hangs straight down


@dataclass(frozen=True)
class Pose:
    """How each head is held, float32 (images, 1, 1), lengths in half images."""

    x: np.ndarray  # shift to the right
    y: np.ndarray  # shift downwards
    rotation: np.ndarray  # rad, clockwise
    scale: np.ndarray  # size relative to the upright face
    yaw: np.ndarray  # shift of eyes, nose and mouth on the head, to the right
    pitch: np.ndarray  # the same, downwards


@dataclass(frozen=True)
class Canvas:
    """Samples of some images, all of each or one window, with the face coordinates of every sample."""

    planes: tuple[np.ndarray, np.ndarray, np.ndarray]  # red, green, blue in [0, 1], float32 (images, rows, columns)
    x: np.ndarray  # float32 (images, rows, columns)
    y: np.ndarray  # float32 (images, rows, columns)
    sharpness: np.float32  # samples per unit

    def paint(self, distance: np.ndarray, colour: np.ndarray | Colour, opacity: np.ndarray | float = 1.0) -> None:
        """Lay a colour, (3,) or (images, 3, 1, 1), over the inside of a shape."""
        cover = np.clip(np.float32(0.5) - distance * self.sharpness, 0, 1)
        if not isinstance(opacity, float):
            cover *= opacity
        for channel, plane in enumerate(self.planes):
            ink = np.float32(colour[channel]) if isinstance(colour, tuple) else colour[:, channel]
            plane += cover * (ink - plane)

    def window(self, pose: Pose, half_width: float, top: float, bottom: float) -> Canvas:
        """View of the samples that a part of the face can reach in any of the images; painting it paints the canvas."""
        corner_x = np.array([-half_width, half_width, -half_width, half_width], np.float32) + pose.yaw
        corner_y = np.array([top, top, bottom, bottom], np.float32) + pose.pitch
        cosine, sine = np.cos(pose.rotation) * pose.scale, np.sin(pose.rotation) * pose.scale
        columns = self._reach(corner_x * cosine - corner_y * sine + pose.x)
        rows = self._reach(corner_x * sine + corner_y * cosine + pose.y)
        red, green, blue = (plane[:, rows, columns] for plane in self.planes)
        return Canvas((red, green, blue), self.x[:, rows, columns], self.y[:, rows, columns], self.sharpness)

    def _reach(self, places: np.ndarray) -> slice:
        side = self.x.shape[1]
        low, high = ((float(end) + 1) / 2 * side for end in (places.min(), places.max()))
        return slice(max(0, int(low) - 2), min(side, int(high) + 3))


def draw_faces(
    people: People, hair: Hair, expression: Expression, pose: Pose, background: np.ndarray, size: int
) -> np.ndarray:
    """Draw one face an image.

    Args:
        people: Traits of the person in each image, rows as ``appearance.rows`` gives them.
        hair: The person's hair style, likewise.
        expression: The expression, likewise.
        pose: How the head is held.
        background: Colour behind the head, float32 in [0, 1], (images, 3, rows, columns) that broadcast to
            (images, 3, 2 size, 2 size).
        size: Height and width of an image, pixels.

    Returns:
        float32 (images, 3, size, size) in [0, 1].

    Raises:
        ValueError: If the shapes do not broadcast.

    Notes:
        Draws no random numbers.
    """
    canvas = _blank(background, pose, size)
    head = _head(canvas, people, hair)
    _features(canvas, people, expression, pose)
    _front_hair(canvas, people, hair, head)
    _eyes(canvas, people, expression, pose)
    samples = np.stack(canvas.planes, axis=1)
    upper, lower = samples[:, :, ::2], samples[:, :, 1::2]
    return (upper[..., ::2] + upper[..., 1::2] + lower[..., ::2] + lower[..., 1::2]) * np.float32(0.25)


def _blank(background: np.ndarray, pose: Pose, size: int) -> Canvas:
    side = size * _SUPERSAMPLING
    axis = (np.arange(side, dtype=np.float32) + np.float32(0.5)) / side * 2 - 1
    across, down = axis[None, None, :] - pose.x, axis[None, :, None] - pose.y
    cosine, sine = np.cos(pose.rotation) / pose.scale, np.sin(pose.rotation) / pose.scale
    x = across * cosine + down * sine
    y = down * cosine - across * sine
    red, green, blue = (np.broadcast_to(background[:, channel], x.shape).copy() for channel in range(3))
    return Canvas((red, green, blue), x, y, np.float32(side / 2))


def _ellipse(x: np.ndarray, y: np.ndarray, width: np.ndarray | float, height: np.ndarray | float) -> np.ndarray:
    """Distance to an ellipse, exact on its rim and for circles, in units of its shorter half axis."""
    return (np.sqrt(np.square(x / width) + np.square(y / height)) - 1) * np.minimum(width, height, dtype=np.float32)


def _head(canvas: Canvas, people: People, hair: Hair) -> np.ndarray:
    """Paint shirt, back of the hair, neck, ears and head; return the distance to the head."""
    x, y = canvas.x, canvas.y
    mirrored = np.abs(x)
    width, height = people.face_width, people.face_height

    wide, top = width + hair.side, -height - hair.top
    crown = _ellipse(x, y - _CROWN_Y, wide, np.maximum(_CROWN_Y - top, np.float32(0.1)))
    curtain = np.maximum(mirrored - wide, y - hair.bottom)
    behind = np.where(y < _CROWN_Y, crown, curtain)
    canvas.paint(np.where(hair.top > -0.4, behind, np.float32(1)), people.hair)
    knot = _ellipse(mirrored - hair.knot_x, y - hair.knot_y, hair.knot_width + 1e-3, hair.knot_height + 1e-3)
    canvas.paint(np.where(hair.knot_width > 0, knot, np.float32(1)), people.hair)

    shade = people.skin * np.float32(0.84)
    canvas.paint(np.maximum(mirrored - np.float32(0.20), np.float32(0.3) - y), shade)
    canvas.paint(_ellipse(x, y - np.float32(1.16), 0.78, 0.30), _SHIRT)
    canvas.paint(_ellipse(mirrored - width * np.float32(0.97), y - np.float32(0.02), 0.10, 0.14), shade)

    narrow = width * (1 - people.jaw * (y + np.float32(0.2)))
    across, down = np.square(x / np.maximum(narrow, np.float32(0.1))), np.square(y / height)
    oval = np.sqrt(across + down)
    box = np.sqrt(np.sqrt(np.square(across) + np.square(down)))
    head = (oval + people.squareness * (box - oval) - 1) * np.minimum(width, height)
    canvas.paint(head, people.skin)
    canvas.paint(np.maximum(head, np.float32(0.30) - y - np.square(x) * np.float32(0.6)), people.hair, people.stubble)
    return head


def _front_hair(canvas: Canvas, people: People, hair: Hair, head: np.ndarray) -> None:
    line = hair.line + hair.line_tilt * canvas.x + hair.line_drop * np.abs(canvas.x)
    canvas.paint(np.maximum(head - np.float32(0.015), canvas.y - line), people.hair)


def _features(canvas: Canvas, people: People, expression: Expression, pose: Pose) -> None:
    """Paint nose and mouth."""
    area = canvas.window(pose, 0.25, _NOSE_Y - 0.25, _NOSE_Y + 0.25)
    nose = _ellipse(area.x - pose.yaw * 1.3, area.y - pose.pitch - _NOSE_Y, people.nose_width, people.nose_length)
    area.paint(nose, people.skin * np.float32(0.74))

    area = canvas.window(pose, 0.5, _MOUTH_Y - 0.4, _MOUTH_Y + 0.45)
    x, y = area.x - pose.yaw, area.y - pose.pitch - _MOUTH_Y
    width = expression.mouth_width * people.mouth_width
    place = x / width
    bow = np.maximum(1 - np.square(place), np.float32(0))
    centre = expression.mouth_curve * (bow - np.float32(0.5)) + expression.mouth_tilt * place
    opening = np.sqrt(bow)
    upper, lower = centre - expression.mouth_upper * opening, centre + expression.mouth_lower * opening
    inside = np.maximum(np.maximum(upper - y, y - lower), np.abs(x) - width)
    area.paint(inside - np.float32(0.040), people.skin * np.float32(0.10) + _LIP)
    gap = (expression.mouth_upper + expression.mouth_lower) * opening
    area.paint(inside, _MOUTH)
    area.paint(np.maximum(inside, lower - gap * expression.tongue - y), _TONGUE)
    area.paint(np.maximum(inside, y - upper - gap * expression.teeth), _WHITE)


def _eyes(canvas: Canvas, people: People, expression: Expression, pose: Pose) -> None:
    """Paint eyes, glasses and brows."""
    area = canvas.window(pose, 0.62, -0.75, 0.30)
    x, y = area.x - pose.yaw, area.y - pose.pitch
    sideways, level = np.abs(x) - people.eye_spacing, y - _EYE_Y
    width, height = people.eye_size, people.eye_size * np.float32(1.1)

    round_ = np.sqrt(np.maximum(1 - np.square(sideways / width), np.float32(0)))
    lids = np.maximum(-level - height * expression.lid_upper * round_, level - height * expression.lid_lower * round_)
    eye = np.maximum(lids, 3 * (np.abs(sideways) - width))
    area.paint(eye - np.float32(0.028), _INK)
    area.paint(eye, _WHITE)
    from_centre = np.sqrt(np.square(sideways) + np.square(level))
    area.paint(np.maximum(eye, from_centre - height * np.float32(0.70)), people.iris)
    area.paint(np.maximum(eye, from_centre - height * np.float32(0.36)), _INK)

    lens = np.minimum(people.eye_spacing - np.float32(0.04), width + np.float32(0.08))
    square = np.maximum(np.abs(sideways), np.abs(level) * np.float32(1.2))
    rim = np.abs(np.where(people.glasses == 2, square, from_centre) - lens)
    bridge = np.maximum(np.abs(level), sideways + lens)
    frame = np.minimum(rim, bridge) - np.float32(0.022)
    area.paint(np.where(people.glasses > 0, frame, np.float32(1)), _FRAME)

    place = sideways / (width * np.float32(1.2))
    arch = expression.brow_angle * place + expression.brow_arch * np.square(place)
    centre = _BROW_Y - expression.brow_height + arch + expression.brow_skew * np.sign(x)
    brow = np.maximum(np.abs(y - centre) - people.brow_thickness, np.abs(sideways) - width * np.float32(1.2))
    area.paint(brow, people.hair * np.float32(0.45) + people.skin * np.float32(0.12))
