"""Label columns of a folder, read without its images."""

from pathlib import Path

from models.data.columns import attributes_in_folder


def test_attributes_are_all_columns_but_the_required_ones(tmp_path: Path) -> None:
    (tmp_path / "labels.csv").write_text("\ufefffile, identity,expression,age,gender\na.png,ann,joy,20,female\n")
    assert attributes_in_folder(tmp_path) == ("age", "gender")


def test_another_column_as_expression_swaps_places(tmp_path: Path) -> None:
    (tmp_path / "labels.csv").write_text("file,identity,expression,pose\na.png,ann,joy,left\n")
    assert attributes_in_folder(tmp_path, "pose") == ("labelled_expression",)


def test_a_folder_that_cannot_be_read_has_none(tmp_path: Path) -> None:
    assert attributes_in_folder(tmp_path) == attributes_in_folder(tmp_path / "absent") == ()
