"""Bad data, as a user meets them: ``python -m study`` refuses every kind by default, before anything starts."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from study.cli import BAD_CONFIGURATION, main

EXPRESSIONS = ("joy", "fear")


def draw(root: Path, people: tuple[str, ...] = ("ann", "bob"), expressions: tuple[str, ...] = EXPRESSIONS) -> list[str]:
    """Draw 12 images of noise for everybody and return the lines of labels.csv."""
    random, lines = np.random.default_rng(0), []
    root.mkdir()
    for person in people:
        for number in range(12):
            pixels = random.integers(0, 256, (32, 32, 3), dtype=np.uint8)
            Image.fromarray(pixels).save(root / f"{person}{number}.png")
            lines.append(f"{person}{number}.png,{person},{expressions[number % len(expressions)]}")
    return lines


def refusal(root: Path, lines: list[str], capsys: pytest.CaptureFixture[str]) -> str:
    """Return what a study of these data says, which must not have begun."""
    (root / "labels.csv").write_text("\n".join(["file,identity,expression", *lines]))
    output = root.parent / "study"
    given = ["data=folder", f"data.root={root}", "data.size=32", f"output={output}", f"cache={root.parent}/cache"]
    assert main(given) == BAD_CONFIGURATION
    assert not output.exists()
    return capsys.readouterr().err


def test_truncated_files_pixels_of_unknown_range_and_labels_without_an_image_are_told_together(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    root = tmp_path / "data"
    lines = draw(root)
    short = root / "ann0.png"
    short.write_bytes(short.read_bytes()[: short.stat().st_size // 2])
    Image.new("F", (32, 32), 0.5).save(root / "float.tiff")
    message = refusal(root, [*lines, "float.tiff,ann,joy", "gone.png,bob,joy"], capsys)
    assert "ann0.png (line 2: " in message
    assert "float.tiff (line 26: pixels of mode F have no known range" in message
    assert "gone.png (line 27)" in message


@pytest.mark.parametrize(("people", "expressions"), [(("ann",), EXPRESSIONS), (("ann", "bob"), ("joy",))])
def test_a_single_person_or_expression_is_refused(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], people: tuple[str, ...], expressions: tuple[str, ...]
) -> None:
    root = tmp_path / "data"
    message = refusal(root, draw(root, people, expressions), capsys)
    assert f"fewer than two {'identities: ann' if len(people) == 1 else 'expressions: joy'}" in message


def test_two_files_with_the_same_pixels_on_both_sides_of_a_split_are_refused(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    root = tmp_path / "data"
    lines = draw(root)
    for number in range(12):  # saved anew: other bytes, the same pixels
        Image.open(root / f"ann{number}.png").save(root / f"copy{number}.png", compress_level=0)
    message = refusal(root, [*lines, *(f"copy{number}.png,bob,joy" for number in range(12))], capsys)
    assert "with the same pixels as one in another split: " in message
    assert "copy" in message
