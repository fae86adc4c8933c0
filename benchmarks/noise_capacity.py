"""How much a sanitiser's sampling noise carries, against how private the sanitiser is: KL weights, seeds and channels.

    python benchmarks/noise_capacity.py FOLDER [--weights 0.002 0.005 0.01 0.02 0.05 0.1] [--seeds 0 1]

For each sanitiser: what plain adversaries read from its honest releases (identity, the leak, and expression, its
utility), and through each channel the bits that its noise carries to an extractor, the readings' repeatability, and the
identities that the family ``sampled`` gets through. One JSON file a sanitiser in FOLDER: run again, it goes on where it
was stopped. About two minutes a sanitiser on one thread. Intervals cover the sampling of the test images.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Sequence
from dataclasses import asdict, astuple
from pathlib import Path
from typing import Any

import numpy as np
import torch
import yaml
from scipy.stats import spearmanr

from models.channel import Channel
from models.checks.config import CheckConfig
from models.checks.judging import fit_and_read
from models.checks.material import LabelSplits, Release
from models.checks.statistics import accuracy
from models.data import SPLITS, FaceData, Splits, load_splits
from models.hiding.key import Key
from models.hiding.payload import IdentityPayload, identity_prototypes
from models.hiding.sampled import SampledConfig, capacity_bits, choose, extract, train_extractor
from models.ppgan.config import PPGANConfig
from models.ppgan.release import StageOne, stage_one
from models.randomness import numpy_generator
from models.runtime import keep_freed_memory

WEIGHTS = (0.002, 0.005, 0.01, 0.02, 0.05, 0.1)
CHANNELS = ("png", "jpeg75", "noise")
DATA = Path(__file__).parents[1] / "search_spaces" / "data" / "procedural.yaml"


def honest_accuracy(stage: StageOne, faces: FaceData, splits: Splits, *, seed: int) -> dict[str, Any]:
    """Return what plain adversaries read from honest releases: identity and expression, (value, low, high) each."""
    release, config, found = Release(**stage.covers), CheckConfig(), {}
    for label, names, fit in (
        ("identity", faces.identity_names, "plain"),
        ("expression", faces.expression_names, "expression"),
    ):
        truth = torch.tensor(getattr(faces, label))
        labels = LabelSplits(
            **{name: truth[torch.tensor(getattr(splits, name))] for name in SPLITS}, classes=len(names)
        )
        _, estimate = fit_and_read("plain", config.fits[fit], release, labels, seed=seed, device="cpu")
        found[label] = astuple(estimate)
    return found


def through_channel(stage: StageOne, faces: FaceData, splits: Splits, name: str, *, seed: int) -> dict[str, Any]:
    """Return capacity and identity recovery, (value, low, high) each, and how the embedding went."""
    channel, config, key = Channel.parse(name), SampledConfig(), Key.from_seed(seed)
    images, identity = torch.tensor(faces.images), torch.tensor(faces.identity)
    train, test = torch.tensor(splits.train), torch.tensor(splits.test)
    random = numpy_generator(seed, "noise_capacity", name)
    extractor = train_extractor(config, stage.generator, images[train], channel=channel, seed=seed)
    capacity = capacity_bits(extractor, stage.generator, images[test], channel=channel, random=random)
    payload = IdentityPayload(identity_prototypes(images[train], identity[train], len(faces.identity_names)))
    target = torch.from_numpy(random.integers(0, len(faces.identity_names), len(test)))
    bits = payload.encode(images[test], identity[test])
    chosen = choose(
        stage.generator,
        images[test],
        target,
        bits,
        extractor=extractor,
        key=key,
        channel=channel,
        config=config,
        random=random,
        symbols=len(faces.identity_names),
    )
    received = channel.apply(chosen.released, random)
    read = payload.reveal(extract(extractor, received, payload.bits, key, len(faces.identity_names))).identity
    assert read is not None
    return {
        "capacity": astuple(capacity),
        "recovered": astuple(accuracy((read == identity[test]).numpy())),
        "found": float(chosen.found.float().mean()),
        "draws": float(chosen.draws.float().mean()),
        "repeatability": float(extractor.repeatability.mean()),
    }


def measure(folder: Path, faces: FaceData, splits: Splits, weight: float, seed: int) -> dict[str, Any]:
    """Return the record of one sanitiser: from its file, if that has these settings, or measured now."""
    path = folder / f"kl{weight:g}_seed{seed}.json"
    sanitiser = PPGANConfig(kl_weight=weight)
    settings = {"sanitiser": asdict(sanitiser), "sampled": asdict(SampledConfig()), "channels": list(CHANNELS)}
    if path.exists():
        record = json.loads(path.read_text())
        if record["settings"] == settings:
            return record
    data = {"data": faces.fingerprint}
    stage = stage_one(sanitiser, faces, splits, fingerprint=data, seed=seed, device="cpu", cache=folder / "cache")
    record = {"kl_weight": weight, "seed": seed, "settings": settings}
    record |= honest_accuracy(stage, faces, splits, seed=seed)
    record["channels"] = {name: through_channel(stage, faces, splits, name, seed=seed) for name in CHANNELS}
    part = path.with_suffix(".part")
    part.write_text(json.dumps(record, indent=1))
    part.replace(path)  # a record is whole or not there
    return record


def row(record: dict[str, Any]) -> str:
    """Return one line of the table."""
    cells = [
        f"{record['kl_weight']:<6g} {record['seed']:>4}",
        *map(_interval, (record["identity"], record["expression"])),
    ]
    for name in CHANNELS:
        found = record["channels"][name]
        cells += [_interval(found["capacity"], 1), _interval(found["recovered"])]
    return "  ".join(cells)


def header() -> str:
    """Return the line above the table."""
    cells = [f"{'KL':<6} seed", f"{'identity':<18}", f"{'expression':<18}"]
    for name in CHANNELS:
        cells += [f"{'bits, ' + name:<21}", f"{'recovered, ' + name:<18}"]
    return "  ".join(cells)


def law(records: Sequence[dict[str, Any]]) -> list[str]:
    """Return, a line a channel, how capacity goes with what the strong check reads, and what is left of that of png."""
    leak = [record["identity"][0] for record in records]
    lines = []
    for name in CHANNELS:
        capacity = np.array([record["channels"][name]["capacity"][0] for record in records])
        share = capacity / [record["channels"]["png"]["capacity"][0] for record in records]
        rank = spearmanr(leak, capacity)
        lines.append(
            f"{name}: rank correlation of capacity with identity accuracy {rank.statistic:+.2f} (p {rank.pvalue:.2g}, "
            f"{len(records)} sanitisers); {share.min():.2f} to {share.max():.2f} of the bits under png"
        )
    return lines


def _interval(estimate: Sequence[float], digits: int = 2) -> str:
    value, low, high = (f"{number:.{digits}f}" for number in estimate)
    return f"{value} ({low}-{high})".ljust(18 if digits == 2 else 21)


def main() -> None:
    """Measure what is missing and print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--weights", type=float, nargs="+", default=WEIGHTS)
    parser.add_argument("--seeds", type=int, nargs="+", default=(0, 1))
    options = parser.parse_args()
    torch.set_num_threads(1)
    keep_freed_memory()
    options.folder.mkdir(parents=True, exist_ok=True)
    faces, splits = load_splits(yaml.safe_load(DATA.read_text()))
    print(header(), flush=True)
    records = []
    for seed in options.seeds:
        for weight in options.weights:
            records.append(measure(options.folder, faces, splits, weight, seed))
            print(row(records[-1]), flush=True)
    if len(records) > 2:
        print(*law(records), sep="\n")


if __name__ == "__main__":
    main()
