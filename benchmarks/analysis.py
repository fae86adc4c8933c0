"""How long a report takes and how much memory, by the number of trials; every size in a process of its own.

    python -m benchmarks.analysis                       # 100, 1,000, 10,000 and 50,000 trials, about a minute
    python -m benchmarks.analysis --trials 1000 --galleries 500

The records are synthetic: the columns, parameters and checks of the default study, 12 steps of history a trial, values
from a formula with noise. What is measured is ``python -m analysis report``: reading the records, all computing,
writing the file. "Processor" is the time of its one thread, imports included, which a busy machine does not lengthen
much. Galleries are of the size and kind that a study draws, and none by default.
"""

import argparse
import io
import json
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from PIL import Image

SIZES = (100, 1_000, 10_000, 50_000)
FAMILIES, SECRETS, CHANNELS = ("keyed", "learned", "sampled"), ("identity", "image"), ("png", "jpeg75", "noise")
STEPS = 12
CHILD = """
import json, resource, sys, time
start = time.perf_counter()
from analysis.__main__ import main
loaded = time.perf_counter()
status = main(["report", sys.argv[1]])
used = resource.getrusage(resource.RUSAGE_SELF)
found = {"import": loaded - start, "seconds": time.perf_counter() - loaded, "cpu": used.ru_utime + used.ru_stime}
print(json.dumps(found | {"peak": used.ru_maxrss / 1e3, "status": status}))
"""
OBJECTIVES = {
    "reconstruction_ssim": ("maximise", True),
    "strong_identity_accuracy": ("minimise", False),
    "steganalysis_auc": ("minimise", False),
}
CHECKS = {
    "strong_identity": ("strong_identity_accuracy", "<=", "baseline + 0.05", 0.05),
    "expression_utility": ("expression_accuracy", ">=", "baseline - 0.05", 0.05),
    "steganalysis": ("steganalysis_auc", "<=", "0.6", 0.1),
    "weak_identity": ("weak_identity_accuracy", "<=", "baseline + 0.05", 0.05),
}
MEMBERS = {"strong_identity_accuracy": ("plain", "high_pass", "bit_plane"), "steganalysis_auc": ("high_pass",)}
OTHERS = ("reconstruction_psnr", "secret_accuracy", "bit_error_rate", "cover_psnr", "steganalysis_p_e")


def write_study(folder: Path, trials: int, galleries: int) -> None:
    """Write the records of a synthetic study."""
    rng = np.random.default_rng(0)
    columns, values = _parameters(trials, rng)
    strength = values["subversion.strength"]
    learned = np.asarray([family == "learned" for family in values["subversion.family"]])
    ssim = np.clip(0.25 + 0.06 * np.log2(values["subversion.code_bits"] / 32) + rng.normal(0, 0.05, trials), 0, 1)
    auc = np.clip(0.5 + 0.02 * strength + 0.3 * learned + rng.normal(0, 0.03, trials), 0, 1)
    leak = np.clip(0.2 + 0.3 * learned * rng.random(trials) + rng.normal(0, 0.02, trials), 0, 1)
    utility = np.clip(0.9 - 0.005 * strength + rng.normal(0, 0.01, trials), 0, 1)
    measured = {"reconstruction_ssim": ssim, "expression_accuracy": utility}
    measured |= {
        f"strong_identity_accuracy.{name}": leak + rng.normal(0, 0.01, trials) for name in ("plain", "high_pass")
    }
    measured |= {"strong_identity_accuracy.bit_plane": leak, "steganalysis_auc.high_pass": auc}
    measured |= {"weak_identity_accuracy": rng.normal(0.17, 0.01, trials)}
    measured |= {name: rng.random(trials) for name in OTHERS}
    strong = np.max([column for name, column in measured.items() if name.startswith("strong")], axis=0)
    margins = {
        "strong_identity": (strong - 0.27) / 0.05,
        "expression_utility": (0.84 - utility) / 0.05,
        "steganalysis": (auc - 0.6) / 0.1,
        "weak_identity": (measured["weak_identity_accuracy"] - 0.22) / 0.05,
    }
    feasible = np.all([margin <= 0 for margin in margins.values()], axis=0)
    for name, column in measured.items():
        columns |= {f"metric.{name}": column, f"metric.{name}.low": column - 0.02, f"metric.{name}.high": column + 0.02}
        columns |= {f"metric.{name}.baseline": np.full(trials, 0.22 if "identity" in name else 0.89)}
        columns |= {f"metric.{name}.chance": np.full(trials, 0.17), f"metric.{name}.votes": np.ones(trials, dtype=bool)}
    columns |= {f"constraint.{name}": np.clip(margin, -3, 3) for name, margin in margins.items()}
    columns |= {f"verdict.{name}": np.where(margin <= 0, "pass", "violation") for name, margin in margins.items()}
    columns |= {"objective.reconstruction_ssim": ssim, "objective.strong_identity_accuracy": strong}
    columns |= {"objective.steganalysis_auc": auc, "feasible": feasible}
    columns |= {"trial": np.arange(trials), "outcome": np.where(feasible, "ok", "infeasible")}
    columns |= {"seconds": rng.uniform(40, 120, trials), "seed": np.arange(trials)}
    columns |= {"finished": 1.7e9 + np.cumsum(rng.uniform(40, 120, trials))}
    folder.mkdir(parents=True, exist_ok=True)
    pq.write_table(pa.table(columns).replace_schema_metadata(_metadata("trials", trials)), folder / "trials.parquet")
    _write_history(folder, trials, rng)
    buffer = io.BytesIO()
    _picture(rng).save(buffer, "PNG")
    for trial in range(galleries):
        path = folder / "artifacts" / str(trial) / "gallery.png"
        path.parent.mkdir(parents=True)
        path.write_bytes(buffer.getvalue())


def _parameters(trials: int, rng: np.random.Generator) -> tuple[dict[str, object], dict[str, np.ndarray]]:
    values = {
        "subversion.family": rng.choice(FAMILIES, trials),
        "subversion.secret": rng.choice(SECRETS, trials),
        "channel": rng.choice(CHANNELS, trials),
        "subversion.strength": rng.integers(1, 17, trials),
        "subversion.code_bits": np.exp2(rng.uniform(6, 11, trials)).astype(np.int64),
        **{f"subversion.weight_{index}": np.exp(rng.uniform(-6, 2, trials)) for index in range(6)},
    }
    columns: dict[str, object] = {f"param.{name}": column for name, column in values.items()}
    keyed = values["subversion.family"] == "keyed"
    columns["param.subversion.weight_5"] = pa.array(values["subversion.weight_5"], mask=~keyed)
    return columns, values


def _metadata(kind: str, trials: int) -> dict[bytes, bytes]:
    def dimension(name: str) -> dict[str, object]:
        listed = {"subversion.family": FAMILIES, "subversion.secret": SECRETS, "channel": CHANNELS}.get(name)
        kind = "categorical" if listed else "int" if name.endswith(("strength", "bits")) else "float"
        return {"kind": kind, "values": listed, "log": kind == "float", "unit": "1", "role": "scientific"}

    names = ["subversion.family", "subversion.secret", "channel", "subversion.strength", "subversion.code_bits"]
    fields = {
        "schema_version": 1,
        "kind": kind,
        "study": f"synthetic-{trials}",
        "objectives": {
            name: {"direction": direction, "unit": "1", "label": name.replace("_", " "), "searched": searched}
            for name, (direction, searched) in OBJECTIVES.items()
        },
        "constraints": {
            name: {"bound": f"{metric} {sense} {bound}", "metric": metric, "sense": sense, "scale": scale}
            for name, (metric, sense, bound, scale) in CHECKS.items()
        },
        "parameters": {name: dimension(name) for name in [*names, *(f"subversion.weight_{i}" for i in range(6))]},
        "strata": names[:3],
        "budget": trials,
    }
    return {b"study": json.dumps(fields).encode()}


def _write_history(folder: Path, trials: int, rng: np.random.Generator) -> None:
    rows = trials * STEPS
    columns = {"trial": np.repeat(np.arange(trials), STEPS), "epoch": np.tile(np.arange(1, STEPS + 1), trials)}
    names = ("loss.bits", "loss.residual", "signal.ssim", "signal.quick_identity", "signal.quick_steganalysis")
    columns |= {name: rng.random(rows) for name in names}
    table = pa.table(columns).replace_schema_metadata(_metadata("history", trials))
    pq.write_table(table, folder / "history.parquet")


def _picture(rng: np.random.Generator) -> Image.Image:
    """Return a gallery of eight rows and five columns of 32 x 32 images, three times enlarged, smooth but for one."""
    image = np.asarray(Image.fromarray(rng.integers(0, 255, (30, 20, 3), dtype=np.uint8)).resize((480, 768)))
    noise = rng.integers(0, 2, (256, 32, 3), dtype=np.uint8) * 255
    image = image.copy()
    image[:, 288:384] = np.asarray(Image.fromarray(noise).resize((96, 768), Image.Resampling.NEAREST))
    return Image.fromarray(image)


def measure(folder: Path) -> dict[str, float]:
    """Build the report in a process of its own; return seconds, peak memory and size in megabytes."""
    done = subprocess.run([sys.executable, "-c", CHILD, str(folder)], capture_output=True, text=True, check=True)
    found: dict[str, float] = json.loads(done.stdout.splitlines()[-1])
    if found["status"] != 0:
        raise RuntimeError(done.stderr)
    return found | {"file": (folder / "report.html").stat().st_size / 1e6}


def main() -> None:
    """Measure every size and print a table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--trials", type=int, nargs="+", default=SIZES, metavar="N")
    parser.add_argument("--galleries", type=int, default=0, metavar="N", help="trials with a gallery (default: none)")
    parser.add_argument("--repeats", type=int, default=3, metavar="N", help="the fastest counts (default: 3)")
    options = parser.parse_args()
    print(
        "| trials | galleries | report, s | imports, s | processor, s | peak memory, MB | file, MB |\n|" + " --- |" * 7
    )
    for trials in options.trials:
        with tempfile.TemporaryDirectory() as folder:
            write_study(Path(folder), trials, min(trials, options.galleries))
            runs = [measure(Path(folder)) for _ in range(options.repeats)]
        best = min(runs, key=lambda run: run["seconds"])
        peak = max(run["peak"] for run in runs)
        print(
            f"| {trials:,} | {min(trials, options.galleries):,} | {best['seconds']:.1f} | {best['import']:.1f} | "
            f"{min(run['cpu'] for run in runs):.1f} | {peak:.0f} | {best['file']:.1f} |",
            flush=True,
        )


if __name__ == "__main__":
    main()
