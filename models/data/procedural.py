"""The embedded data set: stylised faces, any number of people, seven expressions, nothing to download.

``appearance`` says what people and expressions look like, ``drawing`` draws them; here labels are laid out, the
nuisance variation of each image is drawn at random, and light, colour and noise are laid over the drawn pixels.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from models.data.appearance import EXPRESSION_TABLE, EXPRESSIONS, HAIR_STYLES, people, rows
from models.data.dataset import DataError, FaceData, face_data
from models.data.drawing import Pose, draw_faces
from models.data.traits import visible_attributes

SMALLEST_SIZE = 32

_BACKGROUND = np.array([0.84, 0.85, 0.82], np.float32)
_DRAWS = 20  # uniform numbers an image takes before its pixel noise
_SAMPLES_AT_ONCE = 32_768  # samples of one colour plane drawn together: temporaries stay in the processor's cache


@dataclass(frozen=True)
class ProceduralConfig:
    """Which faces to draw."""

    identities: int = 6
    """People, >= 2."""
    images: int = 6000
    """Images, at least one of each person with each expression."""
    size: int = 32
    """Height and width, pixels: a power of two, >= 32."""
    nuisance: float = 0.5
    """Variation of pose, light, background, colour and noise, 0 (none) .. 1."""
    seed: int = 0
    """Seed of the people and of the variation, >= 0."""

    def problems(self) -> list[str]:
        """Say what is out of range, one line a field; none if all is well.

        Raises:
            Nothing.
        """
        found = []
        if self.identities < 2:
            found.append(f"identities = {self.identities}; must be a whole number >= 2")
        least = len(EXPRESSIONS) * max(self.identities, 2)
        if self.images < least:
            found.append(
                f"images = {self.images}; must be >= {least} for {self.identities} identities, "
                f"one of each with each of the {len(EXPRESSIONS)} expressions"
            )
        found += size_problems(self.size)
        if not 0 <= self.nuisance <= 1:
            found.append(f"nuisance = {self.nuisance}; must lie in 0 .. 1")
        if self.seed < 0:
            found.append(f"seed = {self.seed}; must be a whole number >= 0")
        return found


def size_problems(size: int) -> list[str]:
    """Say what is wrong with an image size in pixels, in at most one line.

    Raises:
        Nothing.
    """
    if size >= SMALLEST_SIZE and size & (size - 1) == 0:
        return []
    return [f"size = {size}; must be a power of two >= {SMALLEST_SIZE}, as in 32, 64, 128"]


def procedural_labels(config: ProceduralConfig) -> tuple[np.ndarray, np.ndarray]:
    """Lay out the labels: image i shows a person and an expression that depend on i alone.

    Args:
        config: Which faces to draw.

    Returns:
        Identity and expression, int64 (images,) each. Every pair occurs equally often, give or take one.

    Raises:
        Nothing.
    """
    cell = np.arange(config.images, dtype=np.int64) % (config.identities * len(EXPRESSIONS))
    return cell % config.identities, cell // config.identities


def person_names(identities: int) -> list[str]:
    """Names of the people: ``person-000`` and so on.

    Raises:
        Nothing.
    """
    return [f"person-{index:03d}" for index in range(identities)]


def procedural_faces(config: ProceduralConfig) -> FaceData:
    """Draw a data set.

    Args:
        config: Which faces to draw.

    Returns:
        The faces, named by ``person_names`` and ``EXPRESSIONS``, with the attributes of ``traits.ATTRIBUTES``.

    Raises:
        DataError: If a field of ``config`` is out of range; all of them are named.

    Notes:
        Image i depends on the seed, the number of people, the size, the nuisance and i, not on the number of images.
    """
    problems = config.problems()
    if problems:
        raise DataError(problems)
    identity, expression = procedural_labels(config)
    images = render(config, np.arange(config.images, dtype=np.int64))
    attributes = visible_attributes(people(config.identities, config.seed), identity, expression)
    return face_data(images, identity, expression, person_names(config.identities), EXPRESSIONS, attributes)


def render(config: ProceduralConfig, indices: np.ndarray) -> np.ndarray:
    """Draw some images of a data set.

    Args:
        config: Which faces to draw, in range.
        indices: Which images, int64 (drawn,).

    Returns:
        uint8 (drawn, 3, size, size); ``render(config, [i])[0]`` is image i whatever else is drawn.

    Raises:
        IndexError: If an index does not lie in 0 .. images - 1.
    """
    identity, expression = procedural_labels(config)
    cast = people(config.identities, config.seed)
    batch = max(1, _SAMPLES_AT_ONCE // (2 * config.size) ** 2)
    images = np.empty((len(indices), 3, config.size, config.size), np.uint8)
    for start in range(0, len(indices), batch):
        chosen = indices[start : start + batch]
        uniform, noise = _variation(config, chosen)
        drawn = draw_faces(
            rows(cast, identity[chosen]),
            rows(HAIR_STYLES, cast.hair_style[identity[chosen]]),
            rows(EXPRESSION_TABLE, expression[chosen]),
            _pose(uniform),
            _background(uniform, config.size),
            config.size,
        )
        lit = drawn * _light(uniform, config.size) + noise
        images[start : start + batch] = np.rint(np.clip(lit, 0, 1) * np.float32(255))
    return images


def _variation(config: ProceduralConfig, indices: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Random numbers of each image: (images, _DRAWS, 1, 1) in [-nuisance, nuisance] and pixel noise, float32."""
    uniform = np.zeros((len(indices), _DRAWS, 1, 1), np.float32)
    noise = np.zeros((len(indices), 3, config.size, config.size), np.float32)
    if config.nuisance == 0:
        return uniform, noise
    for row, index in enumerate(indices):
        generator = np.random.default_rng((config.seed, 1, int(index)))
        uniform[row, :, 0, 0] = (2 * generator.random(_DRAWS) - 1) * config.nuisance
        generator.standard_normal(dtype=np.float32, out=noise[row])
    return uniform, noise * np.float32(config.nuisance * 4 / 255)


def _pose(uniform: np.ndarray) -> Pose:
    amount = np.array(
        [0.10, 0.08, 0.22, 0.10, 0.08, 0.05], np.float32
    )  # at nuisance 1: half images, rad, share of the scale
    x, y, rotation, scale, yaw, pitch = (uniform[:, column] * amount[column] for column in range(6))
    return Pose(x, y + np.float32(0.10), rotation, np.float32(0.96) + scale, yaw, pitch)


def _ramp(uniform: np.ndarray, column: int, size: int) -> np.ndarray:
    """A slope across the image in a random direction, (images, 1, size, size), 0 in the middle."""
    axis = (np.arange(size, dtype=np.float32) + np.float32(0.5)) / size * 2 - 1
    across, down = uniform[:, column, None], uniform[:, column + 1, None]
    return axis[None, None, None, :] * across + axis[None, None, :, None] * down


def _background(uniform: np.ndarray, size: int) -> np.ndarray:
    colour = _BACKGROUND[:, None, None] + np.float32(0.11) * uniform[:, 6:9]
    return np.clip(colour + np.float32(0.10) * _ramp(uniform, 9, 2 * size), 0, 1)


def _light(uniform: np.ndarray, size: int) -> np.ndarray:
    """Factor on every pixel: brightness, light from a side, tint; (images, 3, size, size)."""
    tint = 1 + np.float32(0.08) * uniform[:, 11:14]
    return (1 + np.float32(0.12) * uniform[:, 14:15] + np.float32(0.16) * _ramp(uniform, 15, size)) * tint
