"""Trials' galleries as small embedded pictures.

Every picture is decoded and encoded again: a study folder may have come from somebody else, and what is embedded should
hold pixels and nothing else.
"""

import base64
import io
import warnings
from dataclasses import dataclass
from pathlib import Path

from PIL import Image

WIDEST = 720
"""Pixels; wider galleries are scaled down."""
LARGEST_PNG = 40_000
"""Bytes; what is larger as PNG is stored as WebP."""
MOST_PIXELS = 50_000_000


@dataclass(frozen=True)
class Gallery:
    """An embedded picture."""

    uri: str
    """``data:`` URI."""
    width: int
    height: int


@dataclass(frozen=True)
class Galleries:
    """The galleries of a study, and what became of those that are not there."""

    embedded: dict[int, Gallery]
    """By trial number."""
    unreadable: dict[int, str]
    """Trial number to reason."""
    missing: tuple[int, ...]
    """Trials with a result and without a gallery."""
    left_out: tuple[int, ...]
    """Trials whose gallery would have made the report too large."""


def gallery_path(folder: Path, trial: int) -> Path:
    """Return where a study keeps the gallery of a trial."""
    return folder / "artifacts" / str(trial) / "gallery.png"


def embed(path: Path) -> Gallery:
    """Read one gallery and make it small.

    Raises:
        OSError: If the file is missing or no picture that can be read.
        ValueError: If it has more pixels than a gallery can need.
    """
    with Image.open(path) as opened:
        if opened.width * opened.height > MOST_PIXELS:
            raise ValueError(f"{opened.width} x {opened.height} pixels are more than a gallery can need")
        image = opened.convert("RGB")
    if image.width > WIDEST:
        height = max(1, round(image.height * WIDEST / image.width))
        image = image.resize((WIDEST, height), Image.Resampling.LANCZOS)
    kind, data = "png", _encode(image, "PNG", optimize=True)
    if len(data) > LARGEST_PNG:
        smaller = _encode(image, "WEBP", quality=88, method=4)
        kind, data = ("webp", smaller) if len(smaller) < len(data) else (kind, data)
    return Gallery(f"data:image/{kind};base64,{base64.b64encode(data).decode()}", image.width, image.height)


def _encode(image: Image.Image, kind: str, **options: int | bool) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, kind, **options)
    return buffer.getvalue()


def embed_all(folder: Path, trials: list[int], expected: set[int], budget: int) -> Galleries:
    """Embed the galleries of a study until they fill a budget.

    Args:
        folder: The study folder.
        trials: Trial numbers, those first that must have their gallery embedded.
        expected: Trials that should have one, so that its absence is worth a word.
        budget: Characters that all embedded pictures may take together.
    """
    embedded: dict[int, Gallery] = {}
    unreadable: dict[int, str] = {}
    missing, left_out = [], []
    for trial in trials:
        path = gallery_path(folder, trial)
        if not path.is_file():
            if trial in expected:
                missing.append(trial)
            continue
        if budget <= 0:
            left_out.append(trial)
            continue
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("error", Image.DecompressionBombWarning)
                gallery = embed(path)
        except (
            OSError,
            ValueError,
            SyntaxError,
            Image.DecompressionBombError,
            Image.DecompressionBombWarning,
        ) as error:
            unreadable[trial] = str(error)
            continue
        budget -= len(gallery.uri)
        embedded[trial] = gallery
    return Galleries(embedded, unreadable, tuple(missing), tuple(left_out))
