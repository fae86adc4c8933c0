"""The files of a study folder that say under what circumstances it ran."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any


def read_text(path: Path) -> str:
    """Return the text of a file, bytes that are no UTF-8 replaced; empty where it cannot be read."""
    try:
        return path.read_text(encoding="utf-8", errors="replace")
    except OSError:
        return ""


def read_environment(path: Path, warnings: list[str]) -> Mapping[str, Any]:
    """Return the environment of a study; empty, with a word in ``warnings``, where the file is no JSON."""
    text = read_text(path)
    if not text:
        return {}
    try:
        found = json.loads(text)
    except ValueError:
        warnings.append(f"{path.name} is no JSON and was left out")
        return {}
    return found if isinstance(found, dict) else {"environment": found}
