"""Study folders made for the tests of analysis: what ``python -m study`` writes, from a formula instead of training.

The formula follows what was seen on small runs: keyed bits pass, learned residuals are caught by steganalysis, an
unkeyed learned code is caught by identity adversaries, and a trial of strength 0 hides nothing.
"""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from PIL import Image

BASELINES = {"plain": 0.27, "high_pass": 0.37, "bit_plane": 0.18}
EXPRESSION = 0.86
CHANCE, MAJORITY = 1 / 6, 0.19
MEAN_FACE_SSIM = 0.29

OBJECTIVES = {
    "reconstruction_ssim": {
        "direction": "maximise",
        "unit": "1",
        "label": "Reconstruction quality (SSIM of the recovered image)",
        "metric": "reconstruction_ssim",
        "searched": True,
    },
    "strong_identity_accuracy": {
        "direction": "minimise",
        "unit": "1",
        "label": "Identity leakage (accuracy of the strongest adversary)",
        "metric": "strong_identity_accuracy",
        "searched": False,
    },
    "steganalysis_auc": {
        "direction": "minimise",
        "unit": "1",
        "label": "Detectability (AUC of the steganalyser)",
        "metric": "steganalysis_auc",
        "searched": False,
    },
}
CONSTRAINTS = {
    "strong_identity": {
        "bound": "strong_identity_accuracy <= baseline + 0.05",
        "metric": "strong_identity_accuracy",
        "sense": "<=",
        "scale": 0.05,
    },
    "expression": {
        "bound": "expression_accuracy >= baseline - 0.05",
        "metric": "expression_accuracy",
        "sense": ">=",
        "scale": 0.05,
    },
    "steganalysis": {
        "bound": "steganalysis_auc <= 0.6",
        "metric": "steganalysis_auc",
        "sense": "<=",
        "scale": 0.05,
    },
}


def _dimension(kind: str, **fields: Any) -> dict[str, Any]:
    blank = {"kind": kind, "log": False, "unit": "", "role": "scientific", "values": None, "low": None, "high": None}
    return blank | fields


PARAMETERS = {
    "stage_one.recipe": _dimension("categorical", values=["anchored"], role="fixed"),
    "stage_one.critic": _dimension("categorical", values=["three_headed", "patch", "spectral_hinge"], role="nuisance"),
    "subversion.family": _dimension("categorical", values=["keyed", "learned"]),
    "subversion.secret": _dimension("categorical", values=["image", "identity"]),
    "subversion.strength": _dimension("int", low=0, high=16, unit="grey levels"),
    "subversion.code_bits": _dimension("int", low=128, high=2048, log=True, unit="bits"),
    "subversion.repetition": _dimension("int", low=1, high=64, unit="copies"),
    "subversion.learned.key": _dimension("categorical", values=["per_image", "none"]),
    "subversion.learned.identity_weight": _dimension("float", low=0.001, high=10.0, log=True, unit="1"),
}
TYPES = {"categorical": pa.string(), "int": pa.int64(), "float": pa.float64()}


def draw_parameters(trial: int, rng: np.random.Generator) -> dict[str, Any]:
    """Draw one configuration; inactive conditional parameters are None."""
    family = ("keyed", "learned")[trial % 2]
    secret = "identity" if trial % 3 == 2 else "image"
    learned = family == "learned"
    return {
        "stage_one.recipe": "anchored",
        "stage_one.critic": str(rng.choice(["three_headed", "patch", "spectral_hinge"])),
        "subversion.family": family,
        "subversion.secret": secret,
        "subversion.strength": 0
        if trial == 0
        else int(rng.integers(1, 4) if family == "keyed" else rng.integers(1, 17)),
        "subversion.code_bits": int(2 ** rng.uniform(7, 11)) if secret == "image" else None,
        "subversion.repetition": int(rng.integers(1, 65)) if secret == "identity" else None,
        "subversion.learned.key": str(rng.choice(["per_image", "none"])) if learned else None,
        "subversion.learned.identity_weight": float(10 ** rng.uniform(-3, 1)) if learned else None,
    }


def _measured(value: float, width: float = 0.03, **others: Any) -> dict[str, Any]:
    top = 1.0 if value <= 1.0 else np.inf  # Ratios stay ratios.
    return {"": value, ".low": value - width, ".high": min(value + width, top), ".votes": True} | {
        f".{key}": item for key, item in others.items()
    }


def measure(parameters: dict[str, Any], rng: np.random.Generator) -> dict[str, dict[str, Any]]:
    """Return metric columns by metric name and suffix ("" for the value)."""
    strength, learned = parameters["subversion.strength"], parameters["subversion.family"] == "learned"
    bits = parameters["subversion.code_bits"]
    ssim = MEAN_FACE_SSIM + (0.0 if not strength or bits is None else 0.065 * np.log2(bits / 64) + 0.03 * learned)
    caught = 0.75 * (parameters["subversion.learned.key"] == "none") * min(1.0, strength / 4)
    auc = 0.5 + (0.5 * min(1.0, strength / 3) if learned else 0.035 * strength)
    noise = lambda scale: float(rng.normal(0, scale))  # noqa: E731
    found = {
        "reconstruction_ssim": _measured(ssim + noise(0.01), 0.012, baseline=MEAN_FACE_SSIM),
        "reconstruction_psnr": _measured(12 + 12 * ssim, 0.4, baseline=12.0),
        "secret_accuracy": _measured(0.98 if strength else CHANCE, 0.015, chance=CHANCE, majority=MAJORITY),
        "bit_error_rate": _measured(0.0 if strength else 0.5, 0.002, chance=0.5),
        "weak_identity_accuracy.plain": _measured(
            CHANCE + noise(0.01), baseline=0.17, chance=CHANCE, majority=MAJORITY
        ),
        "expression_accuracy": _measured(
            EXPRESSION - 0.004 * strength * learned + noise(0.008), baseline=EXPRESSION, chance=1 / 7, majority=0.15
        ),
        "steganalysis_auc.high_pass": _measured(min(auc + noise(0.012), 1.0), 0.02, chance=0.5),
        "cover_psnr": _measured(51.1 - 20 * np.log10(max(strength, 1)), 0.2),
    }
    for member, baseline in BASELINES.items():
        value = min(baseline + caught + noise(0.012), 1.0)
        found[f"strong_identity_accuracy.{member}"] = _measured(
            value,
            baseline=baseline,
            baseline_low=baseline - 0.02,
            baseline_high=baseline + 0.02,
            chance=CHANCE,
            majority=MAJORITY,
        )
    return found


def judge(metrics: dict[str, dict[str, Any]]) -> tuple[dict[str, float], dict[str, str]]:
    """Return margins and verdicts by check."""
    margins, verdicts = {}, {}
    for check, entry in CONSTRAINTS.items():
        members = [
            fields
            for name, fields in metrics.items()
            if name.partition(".")[0] == entry["metric"] and fields[".votes"] and not np.isnan(fields[""])
        ]
        worst = []
        for fields in members:
            sign = 1 if entry["sense"] == "<=" else -1
            bound = 0.6 if check == "steganalysis" else fields[".baseline"] + sign * 0.05
            ends = sorted(sign * (fields[end] - bound) / entry["scale"] for end in ("", ".low", ".high"))
            worst.append((sign * (fields[""] - bound) / entry["scale"], ends[0], ends[2]))
        margins[check] = float(np.clip(max((item[0] for item in worst), default=3.0), -3, 3))
        if not worst:
            verdicts[check] = "missing"
        elif all(item[2] <= 0 for item in worst):
            verdicts[check] = "pass"
        else:
            verdicts[check] = "violation" if any(item[1] > 0 for item in worst) else "too_little_data"
    return margins, verdicts


def draw_gallery(path: Path, seed: int) -> None:
    """Write a gallery of two rows: input, sanitised, released, difference, recovered."""
    rng = np.random.default_rng(seed)
    yy, xx = np.mgrid[-1:1:48j, -1:1:48j]

    def face(skin: np.ndarray, smile: float, blur: float) -> np.ndarray:
        image = np.ones((48, 48, 3)) * np.array([0.75, 0.82, 0.9])
        image[(xx / 0.7) ** 2 + (yy / 0.9) ** 2 < 1] = skin
        for side in (-0.3, 0.3):
            image[(xx - side) ** 2 + (yy + 0.25) ** 2 < 0.015] = 0.1
        image[(np.abs(yy - 0.45 - smile * xx**2) < 0.05) & (np.abs(xx) < 0.35)] = (0.7, 0.1, 0.15)
        return np.clip(image + rng.normal(0, blur, image.shape), 0, 1)

    rows = []
    for _ in range(2):
        skin, other, smile = rng.uniform(0.35, 0.95, 3), rng.uniform(0.35, 0.95, 3), rng.uniform(-0.8, 0.8)
        cover = face(other, smile, 0)
        difference = 0.5 + 0.5 * np.sign(rng.normal(0, 1, cover.shape)) * (rng.random(cover.shape) < 0.3)
        rows.append(np.hstack([face(skin, smile, 0), cover, cover, difference, face(skin, smile, 0.08)]))
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray((np.vstack(rows) * 255).astype(np.uint8)).save(path)


def trial_row(trial: int, *, crashed: bool, voteless: bool, without_nan: bool, seed: int) -> dict[str, Any]:
    """Return one row of ``trials.parquet``."""
    rng = np.random.default_rng([seed, trial])
    parameters = draw_parameters(trial, rng)
    metrics = measure(parameters, rng)
    if voteless:
        metrics["strong_identity_accuracy.bit_plane"][".votes"] = False
    if trial % 11 == 5 and not without_nan:  # A steganalyser that failed in this trial: NaN, not absent.
        metrics["steganalysis_auc.high_pass"] |= {"": np.nan, ".low": np.nan, ".high": np.nan}
    if crashed:
        for fields in metrics.values():
            fields |= {"": np.nan, ".low": np.nan, ".high": np.nan}
    margins, verdicts = judge(metrics)
    feasible = all(margin <= 0 for margin in margins.values())
    if crashed:  # As the study records trials that were not measured as a whole.
        margins, feasible = dict.fromkeys(margins, 3.0), False
    strong = [f[""] for n, f in metrics.items() if n.startswith("strong") and f[".votes"]]
    missing = "missing" in verdicts.values()
    outcome = "diverged" if crashed else "check_missing" if missing else "ok" if feasible else "infeasible"
    return {
        "trial": trial,
        "outcome": outcome,
        "feasible": feasible,
        **{f"param.{name}": value for name, value in parameters.items()},
        "objective.reconstruction_ssim": metrics["reconstruction_ssim"][""],
        "objective.strong_identity_accuracy": max(strong),
        "objective.steganalysis_auc": metrics["steganalysis_auc.high_pass"][""],
        **{f"constraint.{name}": value for name, value in margins.items()},
        **{f"metric.{name}{suffix}": value for name, fields in metrics.items() for suffix, value in fields.items()},
        **{f"verdict.{name}": value for name, value in verdicts.items()},
        "seconds": 60.0 + trial,
        "seed": 1000 + trial,
        "finished": 1.7e9 + 70.0 * trial,
        "error": "FloatingPointError: loss of the critic is nan at step 31" if crashed else None,
    }


def control_rows(trial: int, voteless: bool) -> list[dict[str, Any]]:
    """Return the controls of one trial."""
    known = [
        ("strong_identity", "plain", "pass_through", 0.99, ">= 0.9"),
        ("strong_identity", "high_pass", "pass_through", 0.97, ">= 0.9"),
        ("strong_identity", "bit_plane", "least_significant_bit", 0.71 if voteless else 0.98, ">= 0.9"),
        ("steganalysis", "high_pass", "noise", 0.93, ">= 0.8"),
    ]
    return [
        {
            "trial": trial,
            "check": check,
            "adversary": adversary,
            "control": control,
            "value": value,
            "low": value - 0.02,
            "high": min(value + 0.02, 1.0),
            "required": required,
            "passed": value >= float(required[3:]),
        }
        for check, adversary, control, value, required in known
    ]


def study_metadata(kind: str, **changes: Any) -> dict[bytes, bytes]:
    """Return the Parquet metadata of a study file."""
    fields = {
        "schema_version": 1,
        "kind": kind,
        "study": "keyed-or-learned",
        "objectives": OBJECTIVES,
        "constraints": CONSTRAINTS,
        "parameters": PARAMETERS,
        "budget": 24,
        "strata": ["subversion.family", "subversion.secret"],
    }
    return {b"study": json.dumps(fields | changes).encode()}


def write_table(path: Path, rows: list[dict[str, Any]], metadata: dict[bytes, bytes]) -> None:
    """Write rows as Parquet, columns typed as the study types them."""
    path.parent.mkdir(parents=True, exist_ok=True)
    table = pa.Table.from_pylist([{key: value for key, value in row.items() if key != "history"} for row in rows])
    for index, field in enumerate(table.schema):
        kind = PARAMETERS.get(field.name.removeprefix("param."), {}).get("kind")
        if kind is not None:
            table = table.set_column(index, field.name, table[field.name].cast(TYPES[kind]))
    if rows and "history" in rows[0]:
        losses = pa.list_(pa.struct([("epoch", pa.int64()), ("losses", pa.map_(pa.string(), pa.float64()))]))
        table = table.append_column("history", pa.array([row["history"] for row in rows], losses))
    pq.write_table(table.replace_schema_metadata(metadata), path)


def write_study(
    folder: Path,
    *,
    trials: int = 24,
    crashed: tuple[int, ...] = (9,),
    voteless: tuple[int, ...] = (3, 4),
    without_nan: bool = False,
    finished: bool = True,
    parts: bool = False,
    galleries: tuple[int, ...] = (),
    change_rows: Callable[[list[dict[str, Any]]], list[dict[str, Any]]] = lambda rows: rows,
    metadata: dict[str, Any] | None = None,
    seed: int = 0,
) -> Path:
    """Write a study folder and return it.

    Args:
        folder: Where to; made if missing.
        trials: How many.
        crashed: Trials that diverged.
        voteless: Trials in which the bit-plane adversary missed its control.
        without_nan: Leave out the trials in which the steganalyser fails.
        finished: Write ``trials.parquet`` and ``controls.parquet``; otherwise only parts, as a running study has.
        parts: Write parts of a finished study too, as the study does; they cost time and say nothing new.
        galleries: Trials with a gallery.
        change_rows: Last change of the rows before they are written.
        metadata: Fields of the metadata to replace.
        seed: Of everything random.
    """
    folder.mkdir(parents=True, exist_ok=True)
    rows = [
        trial_row(t, crashed=t in crashed, voteless=t in voteless, without_nan=without_nan, seed=seed)
        for t in range(trials)
    ]
    rows = change_rows(rows)
    changes = metadata or {}
    controls = [row for t in range(trials) if t not in crashed for row in control_rows(t, t in voteless)]
    for row in rows if parts or not finished else ():
        own = [{key: v for key, v in c.items() if key != "trial"} for c in controls if c["trial"] == row["trial"]]
        nested = {"history": [{"epoch": 1, "losses": [("loss", 0.5)]}], "controls": own}
        path = folder / "parts" / f"{row['trial']:05d}.parquet"
        write_table(path, [row | nested], study_metadata("trials", **changes))
    if finished:
        write_table(folder / "trials.parquet", rows, study_metadata("trials", **changes))
        write_table(folder / "controls.parquet", controls, study_metadata("controls", **changes))
    (folder / "config.yaml").write_text("study:\n  name: keyed-or-learned\nbudget:\n  trials: 24\n")
    (folder / "environment.json").write_text(json.dumps({"python": "3.11", "torch": "2.14.1", "device": "cpu"}))
    for trial in galleries:
        draw_gallery(folder / "artifacts" / str(trial) / "gallery.png", trial)
    return folder


@pytest.fixture(scope="session")
def whole_study(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the folder of a study as it is by default, with one gallery; shared by tests, which only read it."""
    return write_study(tmp_path_factory.mktemp("whole") / "study", galleries=(12,))


@pytest.fixture
def make_study(tmp_path: Path) -> Callable[..., Path]:
    """Return :func:`write_study` for a folder of this test; ``name`` tells several apart."""

    def make(name: str = "study", **options: Any) -> Path:
        return write_study(tmp_path / name, **options)

    return make
