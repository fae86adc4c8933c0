"""Trials' galleries: small embedded pictures of them all, and where the page finds the whole ones.

What is embedded is decoded and encoded again: a study folder may have come from somebody else, and what is embedded
should hold pixels and nothing else. Whole galleries stay in the study folder; the page loads one when it is looked at.
"""

import base64
import io
import os
import warnings
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote

from PIL import Image

WIDEST = 720
"""Pixels; wider galleries are scaled down."""
THUMBNAIL = 200
"""Width of a thumbnail in pixels."""
THUMBNAIL_SHARE = 0.45
"""Height of what a thumbnail shows, from the top, as part of the gallery's width: two images of eight."""
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

    whole: Gallery | None
    """Of the trial that the report opens with."""
    thumbnails: dict[int, Gallery]
    """By trial number."""
    address: str
    """Where the page finds the whole galleries: the folder that holds ``<trial>/gallery.png``, as a relative URL."""
    unreadable: dict[int, str]
    """Trial number to reason."""
    missing: tuple[int, ...]
    """Trials with a result and without a gallery."""
    left_out: tuple[int, ...]
    """Trials whose thumbnail would have made the report too large; their galleries can be loaded all the same."""


def gallery_path(folder: Path, trial: int) -> Path:
    """Return where a study keeps the gallery of a trial."""
    return folder / "artifacts" / str(trial) / "gallery.png"


def artifacts_address(folder: Path, output: Path) -> str:
    """Return the URL of a study's artifacts relative to a page at ``output``; "" if there is no relative way."""
    try:
        way = os.path.relpath(folder.resolve() / "artifacts", output.resolve().parent)
    except ValueError:  # Another drive.
        return ""
    return quote(Path(way).as_posix())


def embed(path: Path) -> Gallery:
    """Read one gallery and make it small.

    Raises:
        OSError: If the file is missing or no picture that can be read.
        ValueError: If it has more pixels than a gallery can need.
    """
    image = _open(path)
    if image.width > WIDEST:
        height = max(1, round(image.height * WIDEST / image.width))
        image = image.resize((WIDEST, height), Image.Resampling.LANCZOS)
    kind, data = "png", _encode(image, "PNG", optimize=True)
    if len(data) > LARGEST_PNG:
        smaller = _encode(image, "WEBP", quality=88, method=4)
        kind, data = ("webp", smaller) if len(smaller) < len(data) else (kind, data)
    return _gallery(kind, data, image)


def thumbnail(path: Path) -> Gallery:
    """Read the top of one gallery as a picture of a few kilobytes.

    Raises:
        OSError: If the file is missing or no picture that can be read.
        ValueError: If it has more pixels than a gallery can need.
    """
    image = _open(path)
    image = image.crop((0, 0, image.width, min(image.height, max(1, round(image.width * THUMBNAIL_SHARE)))))
    width = min(THUMBNAIL, image.width)
    image = image.resize((width, max(1, round(image.height * width / image.width))), Image.Resampling.LANCZOS)
    return _gallery("webp", _encode(image, "WEBP", quality=50, method=4), image)


def _open(path: Path) -> Image.Image:
    with warnings.catch_warnings():
        warnings.simplefilter("error", Image.DecompressionBombWarning)
        try:
            with Image.open(path) as opened:
                if opened.width * opened.height > MOST_PIXELS:
                    raise ValueError(f"{opened.width} x {opened.height} pixels are more than a gallery can need")
                return opened.convert("RGB")
        except (SyntaxError, Image.DecompressionBombError, Image.DecompressionBombWarning) as error:
            raise ValueError(str(error)) from error


def _gallery(kind: str, data: bytes, image: Image.Image) -> Gallery:
    return Gallery(f"data:image/{kind};base64,{base64.b64encode(data).decode()}", image.width, image.height)


def _encode(image: Image.Image, kind: str, **options: int | bool) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, kind, **options)
    return buffer.getvalue()


def embed_all(folder: Path, trials: list[int], expected: set[int], budget: int, address: str) -> Galleries:
    """Embed the whole gallery of the first trial, and thumbnails of all until they fill a budget.

    Args:
        folder: The study folder.
        trials: Trial numbers, those first that must have their thumbnail embedded.
        expected: Trials that should have one, so that its absence is worth a word.
        budget: Characters that all thumbnails may take together.
        address: Where the page finds whole galleries.
    """
    thumbnails: dict[int, Gallery] = {}
    unreadable: dict[int, str] = {}
    missing, left_out = [], []
    whole = None
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
            found = thumbnail(path)
            whole = embed(path) if trial == trials[0] else whole
        except (OSError, ValueError) as error:
            unreadable[trial] = str(error)
            continue
        budget -= len(found.uri)
        thumbnails[trial] = found
    return Galleries(whole, thumbnails, address, unreadable, tuple(missing), tuple(left_out))
