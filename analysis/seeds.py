"""What a study with several seeds a configuration says of them, in words."""

import math

from analysis.records import Study
from analysis.words import number


def spread_text(study: Study, objective: str, row: int) -> str:
    """Return " \u00b1 0.004", the standard error of an objective's mean over the seeds; empty of one seed."""
    error = float(study.standard_errors[objective][row])
    return f" \u00b1 {number(error)}" if math.isfinite(error) else ""


def seed_text(study: Study, row: int) -> str | None:
    """Return the seed of a trial, "17" or "17 and 2 more"; None where not recorded."""
    if study.seed[row] is None:
        return None
    more = study.replicates[row] - 1
    return f"{study.seed[row]} and {more} more" if more else str(study.seed[row])
