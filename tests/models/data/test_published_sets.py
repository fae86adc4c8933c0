"""FERG-DB, MUG and CelebA are read in the formats in which they are published, and what is wrong with them is told."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml
from PIL import Image

from models.data import (
    CelebAConfig,
    DataError,
    FergConfig,
    MugConfig,
    data_problems,
    described,
    load_files,
    load_splits,
)
from models.data.decoding import read_image
from models.data.listing import Source
from tests.models.data.published import (
    CELEBA_NAMES,
    FERG_EXPRESSIONS,
    draw_celeba,
    draw_ferg,
    draw_mug,
    write_picture,
)

GROUP = Path(__file__).parents[3] / "search_spaces" / "data"
FAULTY = "bonnie/bonnie_surprise/bonnie_surprise_1389.png"


def problems_of(source: Source) -> str:
    with pytest.raises(DataError) as caught:
        load_files(source)
    return str(caught.value)


def sides(names: tuple[str, ...], splits: Any) -> list[set[str]]:
    return [{names[image] for image in part} for part in (splits.train, splits.validation, splits.test)]


def test_ferg_takes_people_and_expressions_from_its_folders(tmp_path: Path) -> None:
    data = load_files(FergConfig(draw_ferg(tmp_path), size=32))
    assert data.identity_names == ("bonnie", "ray")
    assert data.expression_names == FERG_EXPRESSIONS
    assert data.images.shape == (2 * 7 * 3, 3, 32, 32)
    assert np.bincount(data.identity).tolist() == [21, 21]
    assert np.bincount(data.expression).tolist() == [6] * 7
    assert data.origin is not None
    assert data.origin.files[0] == "bonnie/bonnie_anger/bonnie_anger_1.png"
    assert (data.images[:, :, 1, 1] == 255).all()  # transparent there
    assert (data.images[0] == read_image(tmp_path / "FERG_DB_256" / data.origin.files[0], 32)).all()


def test_a_faulty_file_of_ferg_is_refused_by_name_and_left_out_on_request(tmp_path: Path) -> None:
    root = draw_ferg(tmp_path, images=6)
    (root / FAULTY).touch()
    message = problems_of(FergConfig(root, size=32))
    assert f"cannot be read: {FAULTY} (not an image)" in message
    assert "data.skip_unreadable=true" in message
    config = {"kind": "ferg", "root": str(root), "size": 32, "skip_unreadable": True}
    data, splits = load_splits(config)
    assert len(data.images) == len(data.identity) == 84
    assert data.origin is not None
    assert data.origin.left_out == (FAULTY,)
    assert FAULTY not in data.origin.files
    assert (data.images[-1] == read_image(root / data.origin.files[-1], 32)).all()  # those behind it have moved up
    assert described(config) == (
        f"84 images of 2 people, 7 expressions; train {len(splits.train)}, validation {len(splits.validation)}, "
        f"test {len(splits.test)}; left out as unreadable: 1 ({FAULTY})"
    )


def test_what_is_wrong_with_ferg_is_told_at_once(tmp_path: Path) -> None:
    root = draw_ferg(tmp_path)
    (root / "bonnie" / "bonnie_joys").mkdir()
    (root / "bonnie" / "joy").mkdir()
    (root / "shrek" / "shrek_joy").mkdir(parents=True)
    for image in (root / "ray" / "ray_fear").iterdir():
        image.unlink()
    whole = root / "ray" / "ray_joy" / "ray_joy_1.png"
    whole.write_bytes(whole.read_bytes()[:-60])
    (root / "ray" / "ray_joy" / "._ray_joy_1.png").write_bytes(b"left by an operating system")
    message = problems_of(FergConfig(root, size=48))
    assert "size = 48; must be a power of two" in message
    assert "folders that FERG-DB does not have: bonnie/bonnie_joys, bonnie/joy, shrek" in message
    assert "without a PNG file: ray/ray_fear" in message
    assert "cannot be read: ray/ray_joy/ray_joy_1.png (" in message
    assert "4 problems" in message


@pytest.mark.parametrize(("kind", "draw"), [("ferg", draw_ferg), ("mug", draw_mug)])
def test_the_folder_above_and_other_folders_are_told_apart(tmp_path: Path, kind: str, draw: Any) -> None:
    root = draw(tmp_path)
    (above,) = data_problems({"kind": kind, "root": str(tmp_path)})
    assert f"give that one: data.root={root}" in above
    (tmp_path / "empty").mkdir()
    (empty,) = data_problems({"kind": kind, "root": str(tmp_path / "empty")})
    assert f"give the folder {root.name}" in empty
    (gone,) = data_problems({"kind": kind, "root": str(tmp_path / "gone")})
    assert "is not a folder" in gone


def test_people_of_one_expression_or_one_person_alone_are_refused(tmp_path: Path) -> None:
    assert "fewer than two identities: ray" in problems_of(FergConfig(draw_ferg(tmp_path, ("ray",)), size=32))
    root = tmp_path / "one"
    for number in range(8):
        write_picture(root / f"00{number % 2}" / "fear" / f"take{number}" / "img_0000.jpg", number)
    assert "fewer than two expressions: fear" in problems_of(MugConfig(root, size=32))


def test_mug_is_read_with_and_without_the_folder_that_some_copies_repeat(tmp_path: Path) -> None:
    data = load_files(MugConfig(draw_mug(tmp_path, nested="002"), size=32))
    assert data.identity_names == ("001", "002")
    assert data.expression_names == ("anger", "happiness")
    assert np.bincount(data.identity).tolist() == [24, 24]
    assert data.origin is not None
    assert data.origin.group is not None
    takes = {file.rpartition("/")[0] for file in data.origin.files}
    assert len(takes) == len(set(data.origin.group.tolist())) == 12


@pytest.mark.parametrize("seed", [0, 1, 2])
@pytest.mark.parametrize("by", ["image", "identity"])
def test_frames_of_a_take_never_lie_in_two_splits(tmp_path: Path, seed: int, by: str) -> None:
    root = draw_mug(tmp_path, ("001", "002", "003"), takes=5)
    data, splits = load_splits({"kind": "mug", "root": str(root), "size": 32, "split": {"seed": seed, "by": by}})
    assert data.origin is not None
    train, validation, test = sides(tuple(file.rpartition("/")[0] for file in data.origin.files), splits)
    assert not train & validation
    assert not train & test
    assert not validation & test
    assert len(train | validation | test) == 30


def test_people_with_fewer_takes_than_splits_are_named(tmp_path: Path) -> None:
    root = draw_mug(tmp_path, takes=1, frames=9)
    (problem,) = data_problems({"kind": "mug", "root": str(root), "size": 32})
    assert "001 (18 images), 002 (18 images)" in problem
    assert "in groups that stay together" in problem


def test_what_is_wrong_with_mug_is_told_at_once(tmp_path: Path) -> None:
    root = draw_mug(tmp_path)
    (root / "009").mkdir()
    (root / "001" / "fear" / "take000").mkdir(parents=True)
    (root / "001" / "happy" / "take000").mkdir(parents=True)
    (root / "002" / "fear" / "retake").mkdir(parents=True)
    (root / "002" / "anger" / "take000" / "img_0001.jpg").write_text("no image")
    message = problems_of(MugConfig(root, size=32))
    assert "people without a take: 009" in message
    assert "sadness, surprise: 001/happy, 002/fear/retake;" in message
    assert "takes without a JPEG file: 001/fear/take000" in message
    assert "002/anger/take000/img_0001.jpg (not an image)" in message


@pytest.mark.parametrize("folders", [False, True])
def test_celeba_is_read_as_published(tmp_path: Path, folders: bool) -> None:
    root = draw_celeba(tmp_path, folders=folders)
    data = load_files(CelebAConfig(root, size=32, identities=0, min_images=1))
    assert data.identity_names == ("1", "2", "3")
    assert np.bincount(data.identity).tolist() == [6, 6, 4]
    assert data.expression_names == ("Smiling", "not Smiling")
    assert data.expression.tolist() == [index % 2 for index in range(16)]
    assert tuple(data.attributes) == CELEBA_NAMES
    assert data.attributes["Male"] == ("1",) * 6 + ("0",) * 6 + ("1",) * 4
    with Image.open(root / ("Img" if folders else "") / "img_align_celeba" / "000001.jpg") as picture:
        middle = picture.crop((0, 20, 178, 198)).resize((32, 32), Image.Resampling.BICUBIC)
    assert (data.images[0] == np.asarray(middle).transpose(2, 0, 1)).all()


def test_another_attribute_of_celeba_can_be_what_must_be_seen(tmp_path: Path) -> None:
    root = draw_celeba(tmp_path)
    data = load_files(CelebAConfig(root, size=32, attribute="Male", identities=0, min_images=1))
    assert data.expression_names == ("Male", "not Male")
    assert "give data.attribute one of Eyeglasses, Male, Smiling" in problems_of(CelebAConfig(root, attribute="Smile"))


def test_people_of_celeba_with_most_images_are_taken(tmp_path: Path) -> None:
    root = draw_celeba(tmp_path, images_of=(3, 5, 4, 5, 1))
    assert load_files(CelebAConfig(root, 32, identities=3, min_images=2)).identity_names == ("2", "3", "4")
    assert load_files(CelebAConfig(root, 32, identities=0, min_images=3)).identity_names == ("1", "2", "3", "4")
    message = problems_of(CelebAConfig(root, 32, identities=4, min_images=4))
    assert "3 of 5 people have at least data.min_images=4 images, and data.identities=4 are asked for" in message
    assert CelebAConfig(root, identities=1, min_images=0).problems() == [
        "identities = 1; must be a whole number >= 2, or 0 for all",
        "min_images = 0; must be a whole number >= 1",
    ]


def test_celeba_can_be_split_as_its_publishers_did(tmp_path: Path) -> None:
    config = {"kind": "celeba", "root": str(draw_celeba(tmp_path)), "size": 32, "identities": 0, "min_images": 1}
    data, splits = load_splits({**config, "split": {"by": "official"}})
    assert [len(splits.train), len(splits.validation), len(splits.test)] == [6, 6, 4]
    assert set(data.identity[splits.test]) == {2}
    (tmp_path / "list_eval_partition.txt").unlink()
    (problem,) = data_problems({**config, "split": {"by": "official"}})
    assert "these data come without a division of their own" in problem
    assert data_problems(config) == []


def test_what_is_wrong_with_the_texts_of_celeba_is_told_at_once(tmp_path: Path) -> None:
    root = draw_celeba(tmp_path)
    table = (root / "list_attr_celeba.txt").read_text().splitlines()
    table[4] = table[4].replace(" 1", " 2")
    table[5] += " 1"
    (root / "list_attr_celeba.txt").write_text("\n".join(table))
    (root / "identity_CelebA.txt").write_text("000001.jpg 1\n000002.jpg one\n")
    (root / "list_eval_partition.txt").write_text("000001.jpg 3\n")
    message = problems_of(CelebAConfig(root, 32))
    assert "list_attr_celeba.txt must have" in message
    assert "not so: line 5, line 6" in message
    assert "identity_CelebA.txt must have a line an image, its file and a whole number; not so: line 2" in message
    assert "identity_CelebA.txt lacks 13 images" in message
    assert "list_eval_partition.txt must have a line an image, its file and one of 0, 1, 2; not so: line 1" in message


def test_missing_texts_missing_images_and_half_a_table_of_celeba_are_told(tmp_path: Path) -> None:
    root = draw_celeba(tmp_path)
    (root / "img_align_celeba" / "000003.jpg").unlink()
    found = problems_of(CelebAConfig(root, 32, identities=0, min_images=1))
    assert "list_attr_celeba.txt names files that do not exist: img_align_celeba/000003.jpg" in found
    table = (root / "list_attr_celeba.txt").read_text().splitlines()
    (root / "list_attr_celeba.txt").write_text("\n".join(table[:-1]))
    assert "announces 16 images and lists 15" in problems_of(CelebAConfig(root, 32))
    (root / "list_attr_celeba.txt").unlink()
    (root / "identity_CelebA.txt").unlink()
    message = problems_of(CelebAConfig(root, 32))
    assert "has no list_attr_celeba.txt, nor do its folders Img, Anno, Eval" in message
    assert "has no identity_CelebA.txt" in message


def test_texts_of_celeba_without_a_line_and_binary_ones_are_told(tmp_path: Path) -> None:
    root = draw_celeba(tmp_path)
    (root / "list_attr_celeba.txt").write_text("0\nSmiling\n")
    (root / "identity_CelebA.txt").write_text("")
    (root / "list_eval_partition.txt").write_bytes(b"\xff\xfe")
    message = problems_of(CelebAConfig(root, 32))
    assert "for each of them; not so: no line" in message
    assert "a whole number; not so: no line" in message
    assert "list_eval_partition.txt cannot be read: 'utf-8'" in message
    assert "3 problems" in message


def test_leaving_out_every_file_is_refused(tmp_path: Path) -> None:
    root = draw_ferg(tmp_path, images=1)
    for image in root.rglob("*.png"):
        image.write_text("no image")
    message = problems_of(FergConfig(root, 32, skip_unreadable=True))
    assert "none of the 14 files can be read: bonnie/bonnie_anger/bonnie_anger_1.png (not an image), ..." in message


@pytest.mark.parametrize("name", ["ferg", "mug", "celeba"])
def test_group_files_lack_only_the_root_and_begin_with_their_command(tmp_path: Path, name: str) -> None:
    text = (GROUP / f"{name}.yaml").read_text()
    assert text.startswith(f"# python -m study data={name} data.root=")
    config = yaml.safe_load(text)
    assert [problem.split(" = ")[0] for problem in data_problems(config)] == ["data.root"]
    root = {"ferg": draw_ferg, "mug": draw_mug, "celeba": draw_celeba}[name](tmp_path)
    fewer = {"identities": 2, "min_images": 4} if name == "celeba" else {}
    assert data_problems({**config, "root": str(root), **fewer}) == []


def test_wrong_values_of_the_published_sets_are_told_together(tmp_path: Path) -> None:
    problems = data_problems({"kind": "ferg", "root": str(tmp_path), "skip_unreadable": "yes", "size": True})
    assert problems[0] == "data.skip_unreadable = 'yes'; must be true or false"
    assert problems[1] == "data.size = True; must be a whole number"
    problems = data_problems({"kind": "celeba", "root": str(draw_celeba(tmp_path)), "identities": 1, "attribute": "x"})
    assert problems[0].startswith("data.identities = 1; must be")
    assert "has no attribute 'x'" in problems[1]
