"""A folder of images is checked as a whole: every fault in one message, and pixels as a viewer shows them."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from models.data import DataError, FolderConfig, load_folder
from models.data.decoding import read_image

ROWS = ["a/1.png,ann,joy,left", "a/2.png,ann,fear,right", "b/1.png,bob,joy,left", "b/2.png,bob,fear,up"]
HEADER = "file,identity,expression,pose"


def write_folder(root: Path, rows: list[str] = ROWS, header: str = HEADER) -> FolderConfig:
    (root / "labels.csv").write_text("\n".join([header, *rows]) + "\n", encoding="utf-8")
    for number, row in enumerate(ROWS):
        path = root / row.split(",")[0]
        path.parent.mkdir(exist_ok=True)
        Image.new("RGB", (48, 40), (60 * number, 10, 20)).save(path)
    return FolderConfig(root)


def problems_of(config: FolderConfig) -> str:
    with pytest.raises(DataError) as caught:
        load_folder(config)
    return str(caught.value)


def test_labels_attributes_and_pixels_follow_the_table(tmp_path: Path) -> None:
    data = load_folder(write_folder(tmp_path))
    assert data.identity_names == ("ann", "bob")
    assert data.expression_names == ("fear", "joy")
    assert data.identity.tolist() == [0, 0, 1, 1]
    assert data.expression.tolist() == [1, 0, 1, 0]
    assert data.attributes == {"pose": ("left", "right", "left", "up")}
    assert data.images.shape == (4, 3, 32, 32)
    assert data.images[:, 0, 16, 16].tolist() == [0, 60, 120, 180]


def test_table_may_have_a_byte_order_mark_blank_lines_and_columns_in_any_order(tmp_path: Path) -> None:
    write_folder(tmp_path)
    rows = [",".join(reversed(row.split(","))) for row in ROWS]
    text = "\ufeffpose,expression,identity,file\r\n" + "\r\n\r\n".join(rows)
    (tmp_path / "labels.csv").write_text(text, encoding="utf-8", newline="")
    assert load_folder(FolderConfig(tmp_path)).attributes == {"pose": ("left", "right", "left", "up")}


def test_all_faults_of_a_folder_are_in_one_message(tmp_path: Path) -> None:
    outside = tmp_path / "outside.png"
    Image.new("RGB", (8, 8)).save(outside)
    root = tmp_path / "root"
    root.mkdir()
    rows = [
        *ROWS,
        "a/../a/1.png,ann,joy,up",
        "../outside.png,ann,joy,up",
        f"{outside},ann,joy,up",
        "gone.png,ann,joy,up",
        "text.png,bob,joy,up",
        "short.png,bob,joy,up",
        "b/1.png,bob",
        ",bob,,up",
    ]
    config = write_folder(root, rows)
    (root / "text.png").write_text("no image")
    Image.effect_noise((64, 64), 50).save(root / "short.png")
    (root / "short.png").write_bytes((root / "short.png").read_bytes()[:600])
    message = problems_of(FolderConfig(config.root, size=40))
    for expected in (
        "size = 40; must be a power of two",
        "line 12 has 2",
        "no file at line 13",
        "no expression at line 13",
        f"outside the folder: ../outside.png (line 7), {outside} (line 8)",
        "more than once: a/1.png (2 times)",
        "do not exist: gone.png (line 9)",
        "text.png (line 10: not an image)",
        "short.png (line 11: ",
    ):
        assert expected in message


def test_missing_columns_do_not_hide_missing_files(tmp_path: Path) -> None:
    (tmp_path / "labels.csv").write_text("file,person\nx.png,ann\n")
    message = problems_of(FolderConfig(tmp_path))
    assert "no column 'identity'" in message
    assert "no column 'expression'" in message
    assert "do not exist: x.png (line 2)" in message


@pytest.mark.parametrize("column", ["identity", "expression"])
def test_fewer_than_two_people_or_expressions_are_refused(tmp_path: Path, column: str) -> None:
    place = HEADER.split(",").index(column)
    rows = [",".join("same" if i == place else part for i, part in enumerate(row.split(","))) for row in ROWS]
    assert f"fewer than two {'identities' if column == 'identity' else 'expressions'}: same" in problems_of(
        write_folder(tmp_path, rows)
    )


def test_folder_without_labels_says_what_is_missing(tmp_path: Path) -> None:
    assert "is not a folder" in problems_of(FolderConfig(tmp_path / "gone"))
    assert "the folder is empty" in problems_of(FolderConfig(tmp_path))
    (tmp_path / "1.png").touch()
    assert "has no labels.csv; the first line of labels.csv must name" in problems_of(FolderConfig(tmp_path))
    (tmp_path / "labels.csv").touch()
    assert "labels.csv is empty" in problems_of(FolderConfig(tmp_path))
    (tmp_path / "labels.csv").write_text(HEADER)
    assert "lists no image" in problems_of(FolderConfig(tmp_path))
    (tmp_path / "labels.csv").write_bytes(b"file,identity,expression\n\xff\xfe,ann,joy\n")
    assert "UTF-8" in problems_of(FolderConfig(tmp_path))


def test_a_long_list_of_faults_is_cut_and_counted(tmp_path: Path) -> None:
    message = problems_of(write_folder(tmp_path, [*ROWS, *(f"gone{i}.png,ann,joy,up" for i in range(25))]))
    assert "gone9.png (line 15) and 15 more" in message


def test_middle_square_is_kept(tmp_path: Path) -> None:
    pixels = np.zeros((32, 64, 3), np.uint8)
    pixels[:, 16:48] = (10, 20, 30)
    Image.fromarray(pixels).save(tmp_path / "wide.png")
    image = read_image(tmp_path / "wide.png", 32)
    assert (image == np.array([10, 20, 30])[:, None, None]).all()


def test_shrinking_averages_instead_of_skipping_pixels(tmp_path: Path) -> None:
    checkers = (np.indices((256, 256)).sum(axis=0) % 2 * 255).astype(np.uint8)
    Image.fromarray(checkers).save(tmp_path / "checkers.png")
    image = read_image(tmp_path / "checkers.png", 32)
    assert np.abs(image.astype(int) - 127).max() <= 3


@pytest.mark.parametrize(
    ("mode", "colour", "expected"),
    [
        ("L", 77, (77, 77, 77)),
        ("I;16", 77 * 256, (77, 77, 77)),
        ("1", 1, (255, 255, 255)),
        ("P", 0, None),
        ("LA", (77, 255), (77, 77, 77)),
        ("RGBA", (10, 20, 30, 255), (10, 20, 30)),
        ("RGBA", (10, 20, 30, 0), (255, 255, 255)),
    ],
)
def test_other_modes_become_colour(
    tmp_path: Path, mode: str, colour: int | tuple[int, ...], expected: tuple[int, int, int] | None
) -> None:
    picture = Image.new(mode, (32, 32), colour)
    picture.save(tmp_path / "image.png")
    image = read_image(tmp_path / "image.png", 32)
    assert image.shape == (3, 32, 32)
    assert image.dtype == np.uint8
    assert tuple(image[:, 5, 5]) == (expected or picture.convert("RGB").getpixel((5, 5)))


def test_pixels_without_a_known_range_are_refused(tmp_path: Path) -> None:
    Image.new("F", (32, 32), 0.5).save(tmp_path / "image.tiff")
    with pytest.raises(ValueError, match="no known range"):
        read_image(tmp_path / "image.tiff", 32)


def test_photographs_are_turned_upright(tmp_path: Path) -> None:
    pixels = np.zeros((32, 32, 3), np.uint8)
    pixels[:16] = 200
    exif = Image.Exif()
    exif[0x0112] = 3  # stored upside down
    Image.fromarray(pixels).save(tmp_path / "turned.png", exif=exif)
    image = read_image(tmp_path / "turned.png", 32)
    assert image[0, 2, 16] == 0
    assert image[0, 30, 16] == 200


def test_another_column_can_say_what_must_still_be_seen(tmp_path: Path) -> None:
    write_folder(tmp_path)
    data = load_folder(FolderConfig(tmp_path, expression_column="pose"))
    assert data.expression_names == ("left", "right", "up")
    assert data.attributes == {"labelled_expression": ("joy", "fear", "joy", "fear")}
    message = problems_of(FolderConfig(tmp_path, expression_column="posture"))
    assert "has no column 'posture'; it has file, identity, expression, pose" in message
