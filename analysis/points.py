"""What one trial looks like as a point: its hover text and the group that gives it its symbol."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from analysis.checks import failed_checks
from analysis.records import Study
from analysis.seeds import spread_text
from analysis.strata import label
from analysis.words import escape_plotly, metric_label, number, plain, short_label


@dataclass(frozen=True, eq=False)
class Points:
    """Per trial, in the order of the study."""

    trial: NDArray[np.int64]
    hover: tuple[str, ...]
    """Text in plotly's markup."""
    group: tuple[str, ...]
    """Value of the first stratifying parameter; "trials" where there is none."""

    @property
    def groups(self) -> tuple[str, ...]:
        """The groups that occur, in alphabetical order."""
        return tuple(sorted(set(self.group)))


def describe_points(study: Study) -> Points:
    """Describe every trial of a study."""
    strata = study.strata
    rows = range(len(study))
    return Points(
        trial=study.trial,
        hover=tuple(_hover(study, row) for row in rows),
        group=tuple(label(study, strata[0], row) if strata else "trials" for row in rows),
    )


def _hover(study: Study, row: int) -> str:
    lines = [f"<b>Trial {study.trial[row]}</b> · {'feasible' if study.feasible[row] else plain(study.outcome[row])}"]
    lines.append(" · ".join(escape_plotly(label(study, name, row)) for name in study.strata))
    for objective in study.schema.objectives:
        value = number(float(study.objectives[objective.name][row])) + spread_text(study, objective.name, row)
        lines.append(f"{escape_plotly(short_label(objective))}: {value}")
    if study.replicates[row] > 1:
        lines.append(f"means over {study.replicates[row]} seeds, \u00b1 standard error")
    failed = failed_checks(study, row)
    if failed:
        lines.append("beyond the bound: " + ", ".join(escape_plotly(metric_label(name)) for name in failed))
    lines.append("<i>click for gallery, configuration and checks</i>")
    return "<br>".join(line for line in lines if line)
