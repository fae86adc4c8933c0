"""What stands around the figures of the report: its head, the circumstances of the study, and the words explained."""

import json
from collections.abc import Iterator, Mapping
from html import escape

import numpy as np

from analysis import check_tables
from analysis.records import Study
from analysis.sections import Section
from analysis.summary import summarise
from analysis.words import METRICS, count, metric_label, number

RULES = {
    "Feasible": "All margins at or below zero, by the estimates that the search works with; a check without a result "
    "counts as violated.",
    "Margin": "(estimate \u2212 bound) / scale of the check, clipped to \u00b13, signed so that zero and less is "
    "feasible.",
    "Verdict": "The judgement by 95 % interval on test images: pass, violation, or too little data, which is neither.",
    "Baseline": "What the same adversary or metric gives without what is studied, such as an honestly trained model "
    "or a guess; bounds may refer to it, adversary by adversary.",
    "Feasible front": "Feasible trials that no other feasible trial dominates: none is at least as good in every "
    "objective and better in one.",
    "Control": "Material whose right answer is known; an adversary that gets it wrong has no vote.",
}


def head(study: Study) -> str:
    """Return the head of the page: what was found, in words and in a few figures."""
    summary = summarise(study)
    tiles = "".join(
        f'<div class="tile"><span>{escape(tile.label)}</span><strong>{escape(tile.value)}</strong>'
        f"<small>{escape(tile.note)}</small></div>"
        for tile in summary.tiles
    )
    alerts = "".join(
        f'<div class="alert" role="note"><strong>{escape(item.title)}</strong> {escape(item.text)}</div>'
        for item in summary.alerts
    )
    details = "".join(f"<li>{escape(text)}</li>" for text in summary.details)
    return (
        f'<p class="kicker">What the privacy checks noticed</p><h1>{escape(study.schema.study)}</h1>'
        f'<p class="lead">{escape(summary.lead)}</p><div class="tiles">{tiles}</div>{alerts}'
        f'<ul class="details">{details}</ul>'
    )


def setting(study: Study) -> Section:
    """Show how the trials ended, and under which configuration and environment they ran."""
    rows = "".join(
        f"<tr><th scope='row'>{escape(str(name))}</th><td>{escape(_value(value))}</td></tr>"
        for name, value in _flat(study.environment)
    )
    environment = f'<div class="scroll"><table><tbody>{rows}</tbody></table></div>' if rows else "<p>Not recorded.</p>"
    config = f"<pre>{escape(study.config)}</pre>" if study.config else "<p>Not recorded.</p>"
    html = (
        f"{_times(study)}{check_tables.outcomes_table(study)}"
        f"<details open><summary>Environment</summary>{environment}</details>"
        f"<details><summary>Configuration of the study (config.yaml)</summary>{config}</details>"
    )
    return Section("setting", "Setting", "Outcomes, environment, configuration", html)


def _times(study: Study) -> str:
    known = study.seconds[np.isfinite(study.seconds)]
    if not known.size:
        return ""
    hours, median = number(float(known.sum()) / 3600), number(float(np.median(known)))
    return (
        f"<p>{count(len(study), 'trial')}: {hours} hours of trial time in all, {median} seconds a trial (median).</p>"
    )


def _flat(values: Mapping[str, object], prefix: str = "") -> Iterator[tuple[str, object]]:
    for name, value in values.items():
        if isinstance(value, dict):
            yield from _flat(value, f"{prefix}{name}.")
        else:
            yield f"{prefix}{name}", value


def _value(value: object) -> str:
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


def words(study: Study) -> Section:
    """Explain the words of the report and the metrics of the study."""
    terms = RULES | {metric_label(name): _explained(study, name) for name in _measured(study)}
    items = "".join(f"<div><dt>{escape(term)}</dt><dd>{escape(text)}</dd></div>" for term, text in terms.items())
    return Section("words", "Words", "Words used here", f'<dl class="words">{items}</dl>')


def _measured(study: Study) -> list[str]:
    """Return the metrics that the study measured and that are explained somewhere, in the order of the records."""
    names = dict.fromkeys(name.partition(".")[0] for name in study.metrics)
    return [name for name in names if _explained(study, name)]


def _explained(study: Study, metric: str) -> str:
    stated = study.schema.metrics.get(metric)
    meaning = METRICS[metric].meaning if metric in METRICS else stated.description if stated else ""
    return f"{meaning[:1].upper()}{meaning[1:]}." if meaning else ""
