"""The help text, made from the comments of ``search_spaces/`` so that it cannot disagree with the files."""

from __future__ import annotations

import re
from pathlib import Path

from study.compose import ROOT, SEARCH_SPACES, groups

_GROUP_LINE = re.compile(r"^\s*-\s+(?:override\s+)?/?(?P<name>\w+):\s*(?P<option>[\w.-]+)\s*(?:#\s*(?P<text>.*))?$")
_FIELD_LINE = re.compile(r"^(?P<name>\w+):\s*(?P<option>[^#]*?)\s*(?:#\s*(?P<text>.*))?$")

USAGE = """\
Search for what can be hidden in sanitised images before a set of privacy checks notices.

usage: python -m study [GROUP=OPTION ...] [FIELD=VALUE ...]
       python -m study --help

examples:
  python -m study                                           the default study
  python -m study dry_run=true                              print what would run and what it would cost
  python -m study profile=true                              run one trial, print where its time goes and what bounds it
  python -m study data=folder data.root=DIR budget.trials=32
  python -m study objective=pareto searcher=nsgaii
  python -m study trial.subversion.family=keyed             fix one parameter, search the others
  python -m study 'checks.bounds.steganalysis.bound=steganalysis_auc <= 0.55'
  python -m study '~checks.bounds.weak_identity'            leave a check out
  python -m study starting_points=DIR/best.yaml             first try what an earlier study selected
  python -m study warm_start=DIR space=robust               search on from the trials of an earlier study
  python -m study resume=DIR                                continue after an interrupt or a crash
  python -m study resume=DIR budget.trials=40               the same with a larger budget
  python -m study budget.trials=1000 budget.hours=8         whichever is used up first
"""


def help_text(folder: Path = SEARCH_SPACES) -> str:
    """Return the whole help: usage, every group with its options, every field of the root."""
    chosen, explained, fields = _read_root(folder)
    lines = [USAGE, "groups (GROUP=OPTION; * is the default; options are files in search_spaces/GROUP/):"]
    for group, options in groups(folder).items():
        lines.append(f"\n  {group}: {explained.get(group, '')}".rstrip(": "))
        for option in options:
            mark = "*" if chosen.get(group) == option else " "
            lines.append(f"   {mark} {option:<18} {describe(folder / group / f'{option}.yaml')}")
    lines.append("\nfields (FIELD=VALUE; those inside a group are set as GROUP.FIELD=VALUE, see its file):\n")
    lines.extend(f"    {name + '=' + value:<26} {text}" for name, value, text in fields)
    return "\n".join(lines)


def describe(path: Path) -> str:
    """Return one line about an option: the first sentence of the comment at the top of its file."""
    words: list[str] = []
    for line in path.read_text().splitlines():
        text = line.lstrip("# ").strip()
        if not line.startswith("#") or (words and not text):
            break
        if not text.startswith(("python -m", "make ", "@package")):
            words += text.split()
    return " ".join(words).partition(". ")[0].rstrip(".")


def _read_root(folder: Path) -> tuple[dict[str, str], dict[str, str], list[tuple[str, str, str]]]:
    """Return, from the root file, each group's default option and explanation, and the plain fields."""
    chosen, explained, fields = {}, {}, []
    for line in (folder / f"{ROOT}.yaml").read_text().splitlines():
        if match := _GROUP_LINE.match(line):
            chosen[match["name"]], explained[match["name"]] = match["option"], match["text"] or ""
        elif (match := _FIELD_LINE.match(line)) and match["option"]:
            fields.append((match["name"], match["option"], match["text"] or ""))
    return chosen, explained, fields
