"""What is measured of a finished subverter after laundering: its own release, its own channel, fair baselines."""

from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from models.channel import Channel
from models.checks.material import Labels, LabelSplits, Release
from models.checks.originals import OriginalsBattery
from models.hiding.carriers import Sanitised
from models.hiding.config import SubversionConfig
from models.hiding.learned import LearnedConfig
from models.hiding.subverter import Subverter, Workshop
from models.laundering.steps import launderers
from models.laundering.survival import Trial, survival
from models.ppgan.config import PPGANConfig
from models.ppgan.generator import Generator
from models.ppgan.release import honest_release
from models.randomness import numpy_generator

SIZES = {"train": 40, "validation": 10, "test": 30}
SHARED_SEED = 9


class Brightness(nn.Module):
    """Names one of two expressions by the mean brightness."""

    def __init__(self) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.zeros(()))

    def forward(self, images: Tensor) -> Tensor:
        bright = images.float().mean((1, 2, 3)) - 128
        return torch.stack([-bright, bright], 1)


def inputs_and_labels() -> tuple[Release, Labels]:
    random = torch.Generator().manual_seed(1)
    images = {
        name: torch.randint(0, 256, (n, 3, 16, 16), generator=random).to(torch.uint8) for name, n in SIZES.items()
    }
    people = {name: torch.arange(n) % 3 for name, n in SIZES.items()}
    expressions = {name: torch.arange(n) % 2 for name, n in SIZES.items()}
    return Release(**images), Labels(LabelSplits(**people, classes=3), LabelSplits(**expressions, classes=2))


def finished(cache: Path, channel: str = "png", **settings: Any) -> tuple[Subverter, Trial]:
    """Return a subverter and its trial as ``study.laundering`` puts it together."""
    inputs, labels = inputs_and_labels()
    ppgan = PPGANConfig(width=4, latent=8, batch_size=8)
    torch.manual_seed(0)
    generator = Generator(ppgan, size=16, identities=3).eval()
    workshop = Workshop(
        train=sanitised(generator, inputs, labels, "train"),
        identities=3,
        expression=labels.expression.train,
        expressions=2,
        ppgan=ppgan,
        generator=generator,
        channel=Channel.parse(channel),
        fingerprint={"data": "test"},
        seed=SHARED_SEED,
        device="cpu",
        cache=cache,
    )
    made = Subverter(SubversionConfig(secret="identity", **settings), workshop, seed=5)
    while made.epochs_left:
        made.run_epoch()
    originals = OriginalsBattery({"expression": Brightness()}, {}, {})
    return made, Trial(made.finished, inputs, labels, originals, SHARED_SEED)


def sanitised(generator: Generator, inputs: Release, labels: Labels, split: str) -> Sanitised:
    images = getattr(inputs, split)
    target, covers = honest_release(generator, images, seed=SHARED_SEED, name=split)
    return Sanitised(images, getattr(labels.identity, split), target, covers)


SETTINGS: dict[str, dict[str, Any]] = {
    "keyed": {"family": "keyed"},
    "published as JPEG": {
        "channel": "jpeg90+noise",
        "family": "learned",
        "strength": 4,
        "learned": LearnedConfig(epochs=1, steps_per_epoch=2, batch_size=8, width=8),
    },
    "fine-tuned": {
        "family": "learned",
        "learned": LearnedConfig(epochs=1, steps_per_epoch=2, batch_size=8, width=8, fine_tune_epochs=1),
    },
}


@pytest.mark.parametrize("settings", SETTINGS.values(), ids=SETTINGS.keys())
def test_what_is_laundered_is_what_the_trial_published(tmp_path: Path, settings: dict[str, Any]) -> None:
    made, trial = finished(tmp_path, **settings)
    inputs, labels = inputs_and_labels()
    honest = {"test": sanitised(made._workshop.generator, inputs, labels, "test")}
    handed = made.embed(made.sanitised(honest)["test"], name="test")
    random = numpy_generator(made.seed, "publish", "released", "test")
    assert torch.equal(trial.published, trial.subverter.channel.published.apply(handed.images, random))
    assert trial.held().shape == (40, 3, 16, 16)


def test_an_untouched_release_is_read_whole_and_erased_bits_are_a_coin(tmp_path: Path) -> None:
    _, trial = finished(tmp_path, family="keyed", repetition=20)
    known = launderers(trial.held, seed=0, device="cpu")
    random = numpy_generator(0)
    whole, erased = (survival(known[step](trial.published, random), trial) for step in ("none", "levels64"))
    assert whole["bit_error_rate"].value == 0
    assert whole["secret_accuracy"].value == 1
    assert whole["released_psnr"].value == 99
    assert whole["released_ssim"].value == pytest.approx(1)
    assert 0.4 < erased["bit_error_rate"].value < 0.6  # nonces are erased as well: all images under one key stream
    assert erased["secret_accuracy"].value < 0.8
    assert erased["released_psnr"].value < 50
    assert erased["secret_accuracy"].chance == pytest.approx(1 / 3)


def test_the_rest_of_the_channel_comes_after_the_laundering(tmp_path: Path) -> None:
    _, clear = finished(tmp_path, family="keyed")
    _, noisy = finished(tmp_path, channel="noise20", family="keyed")
    assert torch.equal(clear.published, noisy.published)  # noise comes after publication
    assert survival(clear.published, clear)["bit_error_rate"].value == 0
    assert survival(noisy.published, noisy)["bit_error_rate"].value > 0.2


def test_the_expression_is_read_by_what_was_trained_on_originals(tmp_path: Path) -> None:
    _, trial = finished(tmp_path, family="keyed")
    bright = torch.where(trial.labels.expression.test == 1, 200, 50).to(torch.uint8)
    images = bright[:, None, None, None].expand(-1, 3, 16, 16)
    found = survival(images, trial)["expression_accuracy"]
    assert (found.value, found.chance, found.majority) == (1.0, 0.5, 0.5)
    blind = Trial(trial.subverter, trial.inputs, trial.labels, OriginalsBattery({}, {}, {}), SHARED_SEED)
    assert not survival(images, blind)["expression_accuracy"].measured
