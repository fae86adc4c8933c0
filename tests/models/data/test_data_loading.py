"""A plain configuration becomes faces and splits, or one list of everything that is wrong with it."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml
from PIL import Image

from models.data import DataError, data_problems, load_faces, load_splits

PROCEDURAL = {"kind": "procedural", "identities": 2, "images": 84, "size": 32, "nuisance": 0.5, "seed": 0}
GROUP = Path(__file__).parents[3] / "search_spaces" / "data"


def write_folder(root: Path, images_each: int = 6) -> dict[str, Any]:
    rows = ["file,identity,expression"]
    for place, person in enumerate(("ann", "bob")):
        for number in range(images_each):
            Image.new("L", (40, 40), 10 * number + place).save(root / f"{person}{number}.png")
            rows.append(f"{person}{number}.png,{person},{('joy', 'fear')[number % 2]}")
    (root / "labels.csv").write_text("\n".join(rows))
    return {"kind": "folder", "root": str(root), "size": 32}


def test_faces_are_drawn_once_a_process() -> None:
    assert data_problems(PROCEDURAL) == []
    assert load_faces(PROCEDURAL) is load_faces(dict(PROCEDURAL))
    assert load_faces({**PROCEDURAL, "seed": 1}) is not load_faces(PROCEDURAL)


def test_folder_is_read_once_a_process_and_again_when_it_changed(tmp_path: Path) -> None:
    config = write_folder(tmp_path)
    assert data_problems(config) == []
    first = load_faces(config)
    assert load_faces(config) is first
    Image.new("L", (48, 48), 255).save(tmp_path / "ann0.png")
    assert load_faces(config).fingerprint != first.fingerprint


def test_splits_follow_the_configuration() -> None:
    data, splits = load_splits({**PROCEDURAL, "split": {"train": 0.5, "validation": 0.25, "test": 0.25, "seed": 4}})
    assert [len(splits.train), len(splits.validation), len(splits.test)] == [42, 21, 21]
    other = load_splits({**PROCEDURAL, "split": {"train": 0.5, "validation": 0.25, "test": 0.25, "seed": 5}})[1]
    assert not np.array_equal(splits.test, other.test)
    assert len(data.images) == 84


def test_problems_of_procedural_faces_are_found_together_and_without_drawing() -> None:
    config = {
        "kind": "procedural",
        "identities": 1,
        "imagse": 5,
        "images": 10_000_000,
        "size": 48,
        "nuisance": True,
        "seed": 1.5,
        "split": {"train": 0.9, "validation": 0.1, "test": 0.1, "folds": 3},
    }
    started = time.perf_counter()
    problems = data_problems(config)
    assert time.perf_counter() - started < 1
    starts = [problem.split(";")[0] for problem in problems]
    assert starts == [
        "data.imagse = 5",
        "data.nuisance = True",
        "data.seed = 1.5",
        "data.identities = 1",
        "data.size = 48",
        "data.split.folds = 3",
        "data.split.train + validation + test = 1.1",
    ]
    assert "did you mean 'images'?" in problems[0]
    with pytest.raises(DataError) as caught:
        load_faces(config)
    assert list(caught.value.problems) == problems


def test_problems_of_the_configuration_do_not_hide_those_of_the_folder(tmp_path: Path) -> None:
    problems = data_problems({"kind": "folder", "root": str(tmp_path), "size": "large", "seed": 0, "split": 3})
    assert len(problems) == 4
    assert problems[0].startswith("data.size = 'large'; must be a whole number")
    assert problems[1].startswith("data.seed = 0; there is no such field")
    assert problems[2].startswith("data.split = 3; must be a mapping")
    assert problems[3].startswith(f"data.root = {tmp_path}: the folder is empty")


def test_problem_is_reported_once(tmp_path: Path) -> None:
    config = {**write_folder(tmp_path), "size": 40}
    assert len(data_problems(config)) == 1


@pytest.mark.parametrize("root", [None, "", "???", 3])
def test_root_that_is_not_given_is_asked_for(root: object) -> None:
    (problem,) = data_problems({"kind": "folder", "root": root})
    assert problem == f"data.root = {root!r}; must be the path of a folder: give data.root=PATH"


@pytest.mark.parametrize("kind", [None, "photos", 3, ["folder"]])
def test_unknown_kind_names_the_known_ones(kind: object) -> None:
    assert data_problems({"kind": kind}) == [
        f"data.kind = {kind!r}; must be one of procedural, folder, ferg, mug, celeba"
    ]


def test_people_with_too_few_images_are_refused_before_the_start(tmp_path: Path) -> None:
    config = write_folder(tmp_path, images_each=2)
    (problem,) = data_problems(config)
    assert "ann (2 images), bob (2 images)" in problem
    assert "Next step" in problem
    with pytest.raises(DataError, match="closed-set"):
        load_splits(config)


def test_people_with_one_or_two_images_can_be_divided_by_identity(tmp_path: Path) -> None:
    rows = ["file,identity,expression"]
    for number in range(11):
        Image.new("L", (40, 40), 20 * number).save(tmp_path / f"{number}.png")
        rows.append(f"{number}.png,person {number // 2},{('joy', 'fear')[number % 2]}")
    (tmp_path / "labels.csv").write_text("\n".join(rows))
    config = {"kind": "folder", "root": str(tmp_path), "size": 32}
    assert "data.split.by=identity" in data_problems(config)[0]
    data, splits = load_splits({**config, "split": {"by": "identity"}})
    people = [set(data.identity[part]) for part in (splits.train, splits.validation, splits.test)]
    assert [len(part) for part in people] == [4, 1, 1]
    assert len(set.union(*people)) == 6


def test_two_files_with_the_same_content_in_two_splits_are_refused(tmp_path: Path) -> None:
    config = write_folder(tmp_path, images_each=12)
    (tmp_path / "copy").mkdir()
    with (tmp_path / "labels.csv").open("a") as labels:
        for number in range(12):
            (tmp_path / "copy" / f"{number}.png").write_bytes((tmp_path / f"ann{number}.png").read_bytes())
            labels.write(f"\ncopy/{number}.png,bob,joy")
    (problem,) = data_problems(config)
    assert "with the same pixels as one in another split: copy/" in problem
    data, splits = load_splits({**config, "split": {"duplicates": "together"}})
    seen = [{data.images[image].tobytes() for image in part} for part in (splits.train, splits.validation, splits.test)]
    assert len(set.union(*seen)) == sum(map(len, seen)) == 24


def test_too_few_procedural_images_for_the_splits_are_refused_without_drawing() -> None:
    shares = {"train": 0.01, "validation": 0.495, "test": 0.495}
    assert "without an image in train" in str(data_problems({**PROCEDURAL, "split": shares}))


@pytest.mark.parametrize("value", [float("nan"), float("inf"), "0.5", None])
def test_numbers_must_be_finite_numbers(value: object) -> None:
    (problem,) = data_problems({**PROCEDURAL, "nuisance": value})
    assert problem.startswith(f"data.nuisance = {value!r}; must be ")


def test_procedural_group_file_holds_the_defaults() -> None:
    config = yaml.safe_load((GROUP / "procedural.yaml").read_text())
    assert data_problems(config) == []
    assert {key: config[key] for key in ("identities", "images", "size", "nuisance", "seed")} == {
        "identities": 6,
        "images": 7000,
        "size": 32,
        "nuisance": 0.5,
        "seed": 0,
    }


def test_folder_group_file_lacks_only_the_root(tmp_path: Path) -> None:
    config = yaml.safe_load((GROUP / "folder.yaml").read_text())
    assert [problem.split(" = ")[0] for problem in data_problems(config)] == ["data.root"]
    assert data_problems({**config, "root": write_folder(tmp_path)["root"]}) == []


@pytest.mark.parametrize("name", ["procedural", "folder"])
def test_group_files_begin_with_the_command_that_runs_them(name: str) -> None:
    assert (GROUP / f"{name}.yaml").read_text().startswith(f"# python -m study data={name}")
