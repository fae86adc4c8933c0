"""Studies on data from files: decoded once into the study's cache, told to the user, and refused where they mislead."""

from __future__ import annotations

from pathlib import Path

import pytest

from models.data import load_splits
from study.cli import OK, main, resolve
from study.config import ConfigError
from study.folder import data_digest
from study.subverted_ppgan import EXPERIMENT
from tests.models.data.published import draw_celeba, draw_ferg, draw_mug


def test_a_dry_run_says_what_the_data_hold_and_fills_the_cache(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    root = draw_ferg(tmp_path)
    (root / "ray" / "ray_joy" / "ray_joy_9.png").touch()
    monkeypatch.chdir(tmp_path)
    given = ["experiment=empty", "data=ferg", f"data.root={root}", "data.size=32", "data.skip_unreadable=true"]
    assert main([*given, "dry_run=true"]) == OK
    assert (
        "data: 42 images of 2 people, 7 expressions; train 25, validation 7, test 6, kept for the audit 4; "
        "left out as unreadable: 1 (" in (capsys.readouterr().out)
    )
    assert len(list((tmp_path / "cache" / "images").glob("*.arrow"))) == 1
    config = resolve([*given, "output=other"])
    before = {path: path.stat().st_mtime_ns for path in (tmp_path / "cache" / "images").iterdir()}
    assert len(load_splits(config.data, config.cache)[0].images) == 42
    assert {path: path.stat().st_mtime_ns for path in (tmp_path / "cache" / "images").iterdir()} == before


@pytest.mark.parametrize("by", ["identity", "official"])
def test_the_ppgan_refuses_people_that_no_adversary_has_met(by: str) -> None:
    with pytest.raises(ConfigError, match=f"data.split.by={by}: the adversaries of subverted_ppgan name the people"):
        resolve([f"data.split.by={by}", "data.images=84"])


def test_the_ppgan_knows_how_many_people_files_show(tmp_path: Path) -> None:
    trial = EXPERIMENT.defaults()
    trial["subversion"] |= {"family": "sampled", "secret": "identity"}
    trial["subversion"]["sampled"] |= {"draws": 4}
    root = draw_mug(tmp_path, ("1", "2", "3", "4", "5"))
    problems = EXPERIMENT.problems(trial, {"kind": "mug", "root": str(root), "size": 32})
    assert any("one of 5 identities" in problem for problem in problems)


def test_other_labels_of_the_same_size_are_noticed(tmp_path: Path) -> None:
    data = {"root": str(draw_celeba(tmp_path, folders=True))}
    before = data_digest(data)
    labels = tmp_path / "Anno" / "identity_CelebA.txt"
    labels.write_text(labels.read_text().replace("000001.jpg 1", "000001.jpg 2"))
    assert data_digest(data) != before
