"""What README and docs tell a user to type is accepted, and what they point to is there."""

import re
import shlex
from pathlib import Path

import pytest
from PIL import Image

from study.cli import resolve
from tests.models.data.published import draw_ferg

ROOT = Path(__file__).parents[1]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
PREFIX = "    python -m study "
COMMANDS = [
    line.removeprefix(PREFIX) for page in PAGES for line in page.read_text().splitlines() if line.startswith(PREFIX)
]
LINK = re.compile(r"\]\(([^)#:]+)(?:#[^)]*)?\)")


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


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_links_between_pages_lead_somewhere(page: Path) -> None:
    missing = [target for target in LINK.findall(page.read_text()) if not (page.parent / target).exists()]
    assert missing == []


def test_the_readme_has_commands() -> None:
    assert len(COMMANDS) >= 8
