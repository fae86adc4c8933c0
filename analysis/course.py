"""The section on the course of the search: best feasible value, feasible hypervolume, and how trials ended."""

from html import escape

import numpy as np

from analysis.figures.hypervolume import draw_hypervolume
from analysis.figures.outcomes import draw_outcomes
from analysis.figures.progress import draw_progress
from analysis.hypervolume import box_of, volume_curve, volume_objectives
from analysis.outcomes import outcomes_over_time
from analysis.points import Points
from analysis.progress import search_progress
from analysis.records import Study
from analysis.sections import Section, place
from analysis.summary import guess_value
from analysis.words import count, listing, number, plain, short_label, spoken


def course(study: Study, shown: Study, points: Points) -> Section:
    """Show the course of the search: curves of all trials, points of those in ``shown``."""
    primary = study.schema.primary
    progress = search_progress(study)
    final = progress.best[-1]
    words = f"ends at {number(float(final))}" if np.isfinite(final) else "never starts: no trial was feasible"
    described = f"Running best of {spoken(primary)} among feasible trials, in order of completion; it {words}."
    caption = (
        "Every finished trial, and the best feasible value so far. Trials without a measured value take a place on the "
        "x axis and show no point."
    )
    guess = guess_value(study)
    drawn = draw_progress(progress, shown, points, primary, None if np.isnan(guess) else guess)
    html, figures = place("progress", described, caption), {"progress": drawn}
    objectives = volume_objectives(study)
    box = box_of((study,), objectives)
    if box is not None:
        curve = volume_curve(study, box)
        names = escape(listing([short_label(item) for item in objectives]))
        end = f"{number(float(curve.volume[-1]))} after {count(len(study), 'trial')}"
        html += "<h3>Feasible hypervolume</h3>" + place(
            "hypervolume",
            f"Feasible hypervolume over trials and over {curve.device} hours, {end}.",
            f"The share of the measured range of {names} that trials within every bound dominate: {end} and "
            f"{number(float(curve.hours[-1]))} {curve.device} hours of trial time (times in the records, multiplied by "
            f"the {curve.device}s that a trial holds). The range is that of all trials, so values of two reports do "
            "not compare; <code>python -m analysis compare</code> puts studies on one range.",
        )
        figures["hypervolume"] = draw_hypervolume({study.schema.study: curve})
    over_time = outcomes_over_time(study)
    ends = ", ".join(f"{plain(name)} {int(counts.sum())}" for name, counts in over_time.counts.items())
    html += "<h3>Outcomes</h3>" + place(
        "outcomes", f"Outcomes over time: {ends}.", f"How the trials ended: {escape(ends)}."
    )
    figures["outcomes"] = draw_outcomes(over_time)
    return Section("progress", "Progress", "The course of the search", html, figures)
