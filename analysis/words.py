"""Names and numbers as people read them; one place, so that report and messages use one word for one thing."""

import math
from dataclasses import dataclass

from analysis.schema import Constraint, Objective, Schema

MINUS = "\u2212"
DASH = "\u2013"


@dataclass(frozen=True)
class Word:
    """How a metric is called and explained."""

    label: str
    unit: str
    meaning: str


METRICS = {
    "reconstruction_ssim": Word(
        "Reconstruction SSIM", "index", "structural similarity of the recovered image and the input; 1 is identical"
    ),
    "reconstruction_psnr": Word("Reconstruction PSNR", "dB", "peak signal-to-noise ratio of the recovered image"),
    "secret_accuracy": Word(
        "Secret accuracy", "fraction of images", "identity read by the subverter from the revealed secret"
    ),
    "bit_error_rate": Word("Bit error rate", "fraction of bits", "hidden bits that came back wrong; 0.5 is a coin"),
    "strong_identity_accuracy": Word(
        "Strong identity accuracy",
        "fraction of images",
        "identity read by an adversary trained on released images with their true labels",
    ),
    "weak_identity_accuracy": Word(
        "Weak identity accuracy", "fraction of images", "identity read by an adversary trained on originals"
    ),
    "informed_identity_accuracy": Word(
        "Informed identity accuracy",
        "fraction of images",
        "the same, by an adversary that holds further honest images of the same sanitiser as well",
    ),
    "paired_identity_accuracy": Word(
        "Paired identity accuracy, worst case",
        "fraction of images",
        "the same, from the difference between released and honest images of the same noise",
    ),
    "latent_identity_accuracy": Word(
        "Latent identity accuracy", "fraction of images", "identity read from the sanitiser's code before it draws"
    ),
    "expression_accuracy": Word(
        "Expression accuracy", "fraction of images", "expression read by a classifier trained on released images"
    ),
    "expression_accuracy_originals": Word(
        "Expression accuracy, trained on originals",
        "fraction of images",
        "expression read from released images by a classifier trained on originals",
    ),
    "steganalysis_auc": Word(
        "Steganalysis AUC",
        "area under the curve",
        "how well a detector tells released images from honest ones; 0.5 is a coin",
    ),
    "steganalysis_auc_100": Word(
        "Steganalysis AUC, 100 images",
        "area under the curve",
        "how well 100 images at once, all released or all honest, are told apart",
    ),
    "steganalysis_auc_1000": Word(
        "Steganalysis AUC, 1,000 images",
        "area under the curve",
        "how well 1,000 images at once, all released or all honest, are told apart",
    ),
    "steganalysis_p_e": Word(
        "Steganalysis P_E", "error rate", "mean of the detector's false-alarm and miss rates; 0.5 is undetectable"
    ),
    "steganalysis_p_e_100": Word("Steganalysis P_E, 100 images", "error rate", "the same of 100 images at once"),
    "steganalysis_p_e_1000": Word("Steganalysis P_E, 1,000 images", "error rate", "the same of 1,000 images at once"),
    "steganalysis_detection": Word(
        "Detection at 1 % false alarms",
        "fraction of images",
        "released images that score above all but 1 % of honest ones",
    ),
    "steganalysis_detection_100": Word(
        "Detection at 1 % false alarms, 100 images", "fraction of pools", "the same of 100 released images at once"
    ),
    "steganalysis_detection_1000": Word(
        "Detection at 1 % false alarms, 1,000 images", "fraction of pools", "the same of 1,000 released images at once"
    ),
    "steganalysis_false_alarms": Word(
        "False alarms", "fraction of images", "honest test images above the threshold of that detection"
    ),
    "cover_psnr": Word("Cover PSNR", "dB", "how close the released image is to the sanitised one"),
}
ACRONYMS = {name.lower(): name for name in ("SSIM", "PSNR", "AUC", "MCC")}
"""Written in capitals where a metric that has no entry above is named."""
OUTCOMES = {
    "ok": "finished, every check within its bound (by estimate)",
    "infeasible": "finished, at least one check beyond its bound",
    "diverged": "training diverged; counted as infeasible",
    "out_of_memory": "memory ran out",
    "preempted": "the machine took the worker back; run again",
    "check_missing": "finished, but a check gave no result; counted as violated",
    "objective_missing": "finished, but a searched objective gave no value; counted as infeasible",
    "stopped_early": "stopped by the scheduler before its end",
    "crashed": "an error in the trial",
}
VERDICTS = {
    "pass": "pass",
    "violation": "violation",
    "too_little_data": "too little data",
    "too_little_training": "too little training",
    "missing": "missing",
}


def plain(name: str) -> str:
    """Turn an identifier into words: ``identity_accuracy.high_pass`` -> "identity accuracy · high pass"."""
    return name.replace(".", " · ").replace("_", " ")


def metric_label(name: str) -> str:
    """Return the label of a metric, or of one member of it."""
    base, _, member = name.partition(".")
    label = METRICS[base].label if base in METRICS else _sentence(base)
    return f"{label} · {plain(member)}" if member else label


def _sentence(name: str) -> str:
    words = [ACRONYMS.get(word, word) for word in plain(name).split(" ")]
    return " ".join([words[0][:1].upper() + words[0][1:], *words[1:]])


def metric_unit(name: str, schema: Schema) -> str:
    """Return the unit of a metric for people; what the study says comes first."""
    base = name.partition(".")[0]
    stated = schema.metrics[base].unit if base in schema.metrics else ""
    known = METRICS[base].unit if base in METRICS else ""
    return unit_text(known if stated in ("", "1") and known else stated)


def unit_text(unit: str) -> str:
    """Return a unit for people: "1" and nothing become "no unit"."""
    return "no unit" if unit in ("", "1") else unit


def direction_text(objective: Objective) -> str:
    """Say which direction the search goes."""
    return f"{'higher' if objective.maximise else 'lower'} is better"


def objective_unit(objective: Objective) -> str:
    """Return the unit of an objective for people: that of the metric it is, where the study calls it a ratio."""
    base = objective.metric.partition(".")[0]
    if objective.unit in ("", "1") and base in METRICS:
        return METRICS[base].unit
    return unit_text(objective.unit)


def spoken(objective: Objective) -> str:
    """Return the name of an objective in running text: that of its metric where that is known, or its short label."""
    if objective.metric in METRICS:
        return METRICS[objective.metric].label
    return short_label(objective)


def short_label(objective: Objective) -> str:
    """Return the label of an objective without what it says in brackets."""
    return objective.label.partition(" (")[0]


def axis_title(objective: Objective, *, short: bool = False) -> str:
    """Return label, unit and direction of an objective on two lines of plotly's markup."""
    label, unit = short_label(objective) if short else objective.label, objective_unit(objective)
    return f"{escape_plotly(label)} [{escape_plotly(unit)}]<br><i>{direction_text(objective)}</i>"


def constraint_text(constraint: Constraint) -> str:
    """Return what a check demands, with the metric by its label."""
    return f"{metric_label(constraint.metric)} {bound_text(constraint.text, constraint.metric)}"


def bound_text(text: str, metric: str = "") -> str:
    """Return a bound as people read it: proper signs, and without ``metric`` at its beginning."""
    stripped = text.removeprefix(metric).strip()
    return stripped.replace("<=", "\u2264").replace(">=", "\u2265").replace("-", MINUS)


def number(value: float | None, digits: int = 3) -> str:
    """Format a number to ``digits`` decimals, significant ones where it is tiny or huge; NaN and None as a dash."""
    if value is None or math.isnan(value):
        return DASH
    if math.isinf(value):
        return "∞" if value > 0 else f"{MINUS}∞"
    text = f"{value:.{digits}g}" if 0 < abs(value) < 0.001 or abs(value) >= 10_000 else f"{value:.{digits}f}"
    if abs(value) >= 10 and "e" not in text and "." in text:
        text = f"{value:.1f}"
    return text.replace("-", MINUS)


def interval(low: float, high: float) -> str:
    """Format a 95 % interval, or nothing where it is not known."""
    return "" if math.isnan(low) or math.isnan(high) else f"{number(low)} to {number(high)}"


def count(amount: int, noun: str) -> str:
    """Return an amount with its noun, in the plural where that is right."""
    return f"{amount:,} {noun}{'' if amount == 1 else 's'}"


def share(part: int, whole: int) -> str:
    """Return ``part`` of ``whole`` in whole per cent."""
    return DASH if whole == 0 else f"{100 * part / whole:.0f} %"


def listing(items: list[str]) -> str:
    """Join items as a sentence does: "a, b and c"."""
    return items[0] if len(items) == 1 else f"{', '.join(items[:-1])} and {items[-1]}" if items else ""


def value_text(value: object) -> str:
    """Format the value of a parameter."""
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, float):
        return f"{value:.3g}".replace("-", MINUS)
    return str(value)


def escape_plotly(text: str) -> str:
    """Escape text for plotly, which reads a small subset of HTML in labels and hover texts."""
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
