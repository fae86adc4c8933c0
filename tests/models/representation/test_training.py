"""The adversarial training: who is updated by what, the ramp, resets, and continuing bit for bit."""

from dataclasses import replace
from pathlib import Path

import pytest
import torch

from models.representation.config import RepresentationConfig
from models.representation.instruments import Perceptual
from models.representation.tasks import Tasks
from models.representation.training import RepresentationTraining, TrainingData, adversarial_strength


def state(module: torch.nn.Module) -> list[torch.Tensor]:
    return [parameter.detach().clone() for parameter in module.parameters()]


def same(first: list[torch.Tensor], second: list[torch.Tensor]) -> bool:
    return all(torch.equal(a, b) for a, b in zip(first, second, strict=True))


def test_a_step_of_the_decoder_leaves_the_encoder_alone(
    small: RepresentationConfig, data: TrainingData, tasks: Tasks, perceptual: Perceptual
) -> None:
    training = RepresentationTraining(small, data, tasks, perceptual, seed=0)
    encoder, decoder = state(training.encoder), state(training.decoder)
    training._decoder_step()
    assert same(encoder, state(training.encoder))
    assert not same(decoder, state(training.decoder))


def test_the_decoder_in_the_loop_is_trained_on_public_people_only(
    small: RepresentationConfig, data: TrainingData, tasks: Tasks, perceptual: Perceptual
) -> None:
    other = replace(data, private=data.private.flip(0), labels=data.labels.flip(0))
    trainings = [RepresentationTraining(small, one, tasks, perceptual, seed=0) for one in (data, other)]
    for training in trainings:
        torch.manual_seed(1)
        training._decoder_step()
    assert same(state(trainings[0].decoder), state(trainings[1].decoder))


@pytest.mark.parametrize("adversary", ["plain", "closed_form", "both"])
def test_a_weight_changes_the_encoder_and_every_adversary_trains(
    small: RepresentationConfig, data: TrainingData, tasks: Tasks, perceptual: Perceptual, adversary: str
) -> None:
    config = replace(small, adversary=adversary, warm_up=0.0, ramp=0.0)
    found = {}
    for weight in (1.0, 30.0):
        training = RepresentationTraining(replace(config, pixel_weight=weight), data, tasks, perceptual, seed=0)
        losses = training.run_epoch()
        found[weight] = state(training.encoder)
        assert ("decoder.pixel" in losses) == (adversary != "closed_form")
        assert ("closed_form.pixel_against" in losses) == (adversary != "plain")
    assert not same(found[1.0], found[30.0])


@pytest.mark.parametrize("values", [{"adversary": "none"}, {"pixel_weight": 0.0, "perceptual_weight": 0.0}])
def test_without_weight_there_is_the_task_alone(
    small: RepresentationConfig, data: TrainingData, tasks: Tasks, perceptual: Perceptual, values: dict[str, float]
) -> None:
    training = RepresentationTraining(replace(small, **values), data, tasks, perceptual, seed=0)  # type: ignore[arg-type]
    decoder = state(training.decoder)
    assert set(training.run_epoch()) == {"task"}
    assert same(decoder, state(training.decoder))


def test_the_weights_rise_after_the_warm_up(small: RepresentationConfig) -> None:
    config = replace(small, warm_up=0.2, ramp=0.4)
    found = [adversarial_strength(config, progress) for progress in (0.0, 0.19, 0.4, 0.6, 1.0)]
    assert found == pytest.approx([0.0, 0.0, 0.5, 1.0, 1.0])
    assert adversarial_strength(replace(config, ramp=0.0), 0.2) == 1.0


def test_more_decoder_steps_and_resets_do_what_they_say(
    small: RepresentationConfig, data: TrainingData, tasks: Tasks, perceptual: Perceptual
) -> None:
    config = replace(small, adversary="plain", reset_every=1, adversary_steps=2, steps_per_epoch=1, warm_up=0.9)
    training = RepresentationTraining(config, data, tasks, perceptual, seed=0)
    updates = []
    for _ in range(2):
        training.run_epoch()
        first = next(iter(training.decoder_optimiser.state.values()))
        updates.append(int(first["step"]))
    assert updates == [2, 2]  # the second decoder began anew


@pytest.mark.parametrize("adversary", ["none", "both"])
def test_a_training_continued_from_its_state_ends_as_if_never_stopped(
    small: RepresentationConfig,
    data: TrainingData,
    tasks: Tasks,
    perceptual: Perceptual,
    adversary: str,
    tmp_path: Path,
) -> None:
    config = replace(small, adversary=adversary, reset_every=2)
    whole = RepresentationTraining(config, data, tasks, perceptual, seed=4)
    losses = [whole.run_epoch() for _ in range(3)]
    stopped = RepresentationTraining(config, data, tasks, perceptual, seed=4)
    stopped.run_epoch()
    torch.save(stopped.state_dict(), tmp_path / "state.pt")
    continued = RepresentationTraining(config, data, tasks, perceptual, seed=4)
    continued.load_state_dict(torch.load(tmp_path / "state.pt", weights_only=True))
    assert [continued.run_epoch(), continued.run_epoch()] == losses[1:]
    assert same(state(continued.encoder), state(whole.encoder))
    assert continued.epochs_left == 0


def test_the_seed_decides(
    small: RepresentationConfig, data: TrainingData, tasks: Tasks, perceptual: Perceptual
) -> None:
    first, again, other = (RepresentationTraining(small, data, tasks, perceptual, seed=seed) for seed in (0, 0, 1))
    assert first.run_epoch() == again.run_epoch() != other.run_epoch()


def test_a_training_that_diverges_says_so(
    small: RepresentationConfig, data: TrainingData, tasks: Tasks, perceptual: Perceptual
) -> None:
    training = RepresentationTraining(small, data, tasks, perceptual, seed=0)
    with torch.no_grad():
        training.classifier.head[-1].bias.fill_(float("nan"))
    with pytest.raises(FloatingPointError, match=r"representation, epoch 1: training diverged: .*task=nan"):
        training.run_epoch()
