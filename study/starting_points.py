"""Configurations chosen by ``python -m analysis select DIR``, read back to be tried first in another study."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import yaml

from study.parameter import Value


def read_starting_points(path: Path, problems: list[str]) -> tuple[dict[str, Value], ...]:
    """Read the parameters of every configuration in a ``best.yaml``.

    Args:
        path: File that maps ``configurations`` to a list of mappings, each with ``parameters`` by dotted name.
            Parameters that are null were inactive and are left out; everything else in the file is not read.
        problems: What is wrong with the file is added here.
    """
    try:
        content = yaml.safe_load(path.read_text())
    except OSError as error:
        problems.append(
            f"starting_points={path} cannot be read ({error.strerror}); make it with python -m analysis select DIR"
        )
        return ()
    except yaml.YAMLError as error:
        problems.append(f"starting_points={path} is not YAML: {' '.join(str(error).split())}")
        return ()
    configurations = content.get("configurations") if isinstance(content, Mapping) else None
    if not isinstance(configurations, list) or not configurations:
        problems.append(
            f"starting_points={path} holds no list 'configurations'; make it with python -m analysis select DIR"
        )
        return ()
    points = []
    for index, configuration in enumerate(configurations):
        parameters = configuration.get("parameters") if isinstance(configuration, Mapping) else None
        if not isinstance(parameters, Mapping):
            problems.append(f"starting_points={path}, configuration {index + 1} holds no mapping 'parameters'")
            continue
        points.append({str(name): value for name, value in parameters.items() if value is not None})
    return tuple(points)
