"""What the README tells a user to type is accepted."""

import shlex
from pathlib import Path

import pytest
from PIL import Image

from study.cli import resolve
from tests.models.data.published import draw_ferg

README = (Path(__file__).parents[1] / "README.md").read_text()
PREFIX = "    python -m study "
COMMANDS = [line.removeprefix(PREFIX) for line in README.splitlines() if line.startswith(PREFIX)]


@pytest.mark.parametrize("command", [command for command in COMMANDS if "--help" not in command])
def test_every_study_command_resolves(command: str, tmp_path: Path) -> None:
    arguments = shlex.split(command, comments=True)
    faces = tmp_path / "faces"
    faces.mkdir()
    rows = [(person, number) for person in ("ann", "bob") for number in range(12)]
    lines = [f"{person}{number}.png,{person},{'joy' if number % 2 else 'fear'}" for person, number in rows]
    (faces / "labels.csv").write_text("\n".join(["file,identity,expression", *lines]))
    for person, number in rows:
        Image.new("RGB", (40, 40), (10 * number, 5, ord(person[0]))).save(faces / f"{person}{number}.png")
    given = {
        "data.root=DIR": f"data.root={faces}",
        "data.root=FERG_DB_256": f"data.root={draw_ferg(tmp_path)}",
        "starting_points=studies/mine/best.yaml": None,
        "resume=studies/mine": None,
        "warm_start=studies/mine": None,
    }
    arguments = [given.get(argument, argument) for argument in arguments]
    config = resolve([argument for argument in arguments if argument is not None] + [f"cache={tmp_path}/cache"])
    second = "representation" in command
    assert config.experiment == ("adversarial_representation" if second else "subverted_ppgan")


def test_the_readme_has_commands() -> None:
    assert len(COMMANDS) >= 8
