"""Joint fine-tuning: what moves and what stays, the covers of the fine-tuned sanitiser, and resuming."""

from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from models.hiding.learned import LearnedConfig, LearnedData, LearnedTraining
from models.hiding.learned.fine_tuning import FineTuning
from models.ppgan.config import PPGANConfig
from models.ppgan.generator import Generator
from models.ppgan.training import TrainingSet

PPGAN = PPGANConfig(width=4, latent=8, batch_size=8)
Make = Callable[[], FineTuning]


@pytest.fixture
def made(data: LearnedData, small: Callable[..., LearnedConfig]) -> Make:
    """Return a maker of fine-tunings that begin alike."""
    torch.manual_seed(0)
    generator = Generator(PPGAN, size=16, identities=3).eval()

    def make() -> FineTuning:
        config = small(identity_weight=0.1, steganalysis_weight=0.1)
        training = LearnedTraining(config, data, bits=64, strength=2, seed=0)
        inputs = TrainingSet(data.covers, data.identity, data.identity, 3, 3)
        return FineTuning(training, PPGAN, inputs, generator, seed=0)

    return make


def test_decoder_embedder_and_extractor_move_and_the_encoder_stays(made: Make) -> None:
    fine_tuning = made()
    networks = {"generator": fine_tuning.generator, "embedder": fine_tuning.training.embedder}
    networks["extractor"] = fine_tuning.training.extractor
    before = {part: {k: v.clone() for k, v in network.state_dict().items()} for part, network in networks.items()}
    losses = fine_tuning.run_epoch()
    assert {"bits", "residual", "steganalysis", "sanitiser.anchor", "sanitiser.adversarial"} <= set(losses)

    def moved(part: str, prefix: str = "") -> bool:
        after = networks[part].state_dict()
        return any(not torch.equal(after[name], v) for name, v in before[part].items() if name.startswith(prefix))

    assert moved("generator", "decoder")
    assert moved("embedder")
    assert moved("extractor")
    assert not moved("generator", "encoder")
    assert not moved("generator", "moments")


def test_the_covers_are_those_of_the_fine_tuned_sanitiser(made: Make, data: LearnedData) -> None:
    fine_tuning = made()
    inputs, targets = {"test": data.covers}, {"test": data.identity}
    before = fine_tuning.covers(inputs, targets, seed=0)["test"]
    assert torch.equal(before, fine_tuning.covers(inputs, targets, seed=0)["test"])
    fine_tuning.run_epoch()
    after = fine_tuning.covers(inputs, targets, seed=0)["test"]
    assert after.dtype == torch.uint8
    assert not torch.equal(before, after)


def test_the_sanitiser_that_was_handed_in_is_left_alone(made: Make) -> None:
    first = made()
    start = first.decoder[0].clone()
    first.run_epoch()
    assert not torch.equal(first.decoder[0], start)
    assert torch.equal(made().decoder[0], start)


def test_a_fine_tuning_that_was_restored_continues_as_if_never_stopped(made: Make, tmp_path: Path) -> None:
    whole = made()
    whole.run_epoch()
    torch.save([whole.training.state_dict(), whole.state_dict()], tmp_path / "state.pt")
    restored = made()
    learned, own = torch.load(tmp_path / "state.pt", weights_only=True)
    restored.training.load_state_dict(learned)
    restored.load_state_dict(own)
    assert restored.run_epoch() == whole.run_epoch()
    for mine, theirs in zip(restored.decoder, whole.decoder, strict=True):
        assert torch.equal(mine, theirs)
