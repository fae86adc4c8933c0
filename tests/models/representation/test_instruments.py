"""What everything is measured with: distances, embedding, floors, and who may vote."""

from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor

from models.image_quality import to_float
from models.randomness import seeded
from models.representation.config import PerceptualConfig
from models.representation.instruments import (
    Embedding,
    Perceptual,
    embed,
    fit_embedding,
    fit_perceptual,
    frozen,
    load_vgg,
    same_and_other,
)
from models.representation.quality import METRICS, Yardstick, embedding_control, not_measured, under


def new_embedding(people: int = 3) -> Embedding:
    with seeded(0, "embedding"):
        return frozen(Embedding(people))


def test_distance_is_0_for_equal_images_and_knows_layers(perceptual: Perceptual, images: Tensor) -> None:
    first, second = to_float(images[:4]), to_float(images[4:8])
    assert torch.allclose(perceptual.distance(first, first), torch.zeros(4))
    assert (perceptual.distance(first, second) > 0).all()
    coarse = Perceptual(perceptual.network, "3")
    assert len(coarse.features(first)) == 1
    assert not torch.allclose(coarse.distance(first, second), perceptual.distance(first, second))


def test_the_features_of_one_image_stand_for_all(perceptual: Perceptual, images: Tensor) -> None:
    first, second = to_float(images[:4]), to_float(images[4:5])
    known = perceptual.between(perceptual.features(first), perceptual.features(second))
    assert torch.allclose(known, perceptual.distance(first, second.expand_as(first)), atol=1e-6)


def test_instruments_learn_their_labels_and_are_frozen(images: Tensor) -> None:
    labels = torch.arange(48) % 2  # bright or not
    network = fit_perceptual(images, labels, 2, steps=30, seed=0)
    assert (network(to_float(images)).argmax(1) == labels).float().mean() > 0.9
    assert not network.training
    assert not any(parameter.requires_grad for parameter in network.parameters())


def test_the_embedding_puts_images_of_one_person_together(images: Tensor) -> None:
    identity = torch.arange(48) % 2
    network = fit_embedding(images, identity, steps=40, seed=0)
    other, same = same_and_other(embed(network, to_float(images)), identity)
    assert len(other) == 24 * 24
    assert len(same) == 2 * 24 * 23 // 2
    assert same.mean() > other.mean() + 0.3


def test_a_file_that_is_no_vgg_is_refused(tmp_path: Path) -> None:
    for content in ({"features.0.weight": torch.zeros(1)}, {"layer": torch.zeros(1)}):
        path = f"{tmp_path}/weights.pth"
        torch.save(content, path)
        with pytest.raises(ValueError, match=r"does not hold the weights of torchvision\.models\.vgg16"):
            load_vgg(PerceptualConfig(network="vgg16", weights=path))


@pytest.mark.slow
def test_features_of_vgg_come_from_the_file(tmp_path: Path, images: Tensor) -> None:
    from torchvision.models.vgg import cfgs, make_layers

    layers = make_layers(cfgs["D"])
    path = f"{tmp_path}/weights.pth"
    torch.save({f"features.{name}": tensor for name, tensor in layers.state_dict().items()}, path)
    network = load_vgg(PerceptualConfig(network="vgg16", weights=path))
    batch = to_float(images[:2])
    found = network.features(batch)
    assert [tuple(maps.shape[1:]) for maps in found] == [(64, 16, 16), (128, 8, 8), (256, 4, 4)]
    scaled = ((batch + 1) / 2 - network.mean) / network.std
    assert torch.allclose(found[0], layers[:4](scaled), atol=1e-5)


def yardstick(perceptual: Perceptual, images: Tensor, *, trusted: bool = True) -> Yardstick:
    return Yardstick(perceptual, new_embedding(), to_float(images).mean(0), trusted=trusted)


def test_a_perfect_reconstruction_reaches_the_best_of_every_metric(perceptual: Perceptual, images: Tensor) -> None:
    found = yardstick(perceptual, images).measure(to_float(images), images, np.arange(48) // 4)
    assert set(found) == set(METRICS)
    assert found["inversion_ssim"].value == pytest.approx(1.0)
    assert found["identity_similarity"].value == pytest.approx(1.0)
    assert found["inversion_psnr"].value == 99.0
    assert found["feature_distance"].value == pytest.approx(0.0)


def test_floors_are_what_the_mean_face_and_a_constant_image_score(perceptual: Perceptual, images: Tensor) -> None:
    measure = yardstick(perceptual, images).measure
    identity = np.arange(48) // 4
    mean = to_float(images).mean(0)
    constant = mean.mean((1, 2), keepdim=True).expand_as(mean)
    floor = measure(torch.zeros(48, 3, 16, 16), images, identity)
    as_mean = measure(mean.expand(48, 3, 16, 16), images, identity)
    as_constant = measure(constant.expand(48, 3, 16, 16), images, identity)
    for name in METRICS:
        assert floor[name].baseline == pytest.approx(as_mean[name].value)
        assert floor[name].chance == pytest.approx(as_constant[name].value)


def test_without_a_trusted_embedding_identity_similarity_has_no_vote(perceptual: Perceptual, images: Tensor) -> None:
    found = yardstick(perceptual, images, trusted=False).measure(to_float(images), images, np.arange(48) // 4)
    assert not found["identity_similarity"].votes
    assert found["inversion_ssim"].votes


def test_an_embedding_is_trusted_only_if_it_tells_unseen_people_apart(images: Tensor) -> None:
    network = fit_embedding(images[:24], torch.arange(24) % 2, steps=40, seed=0)
    told = embedding_control(network, images[24:], np.arange(24) % 2, least=0.75, seed=0)
    assert told.passed
    assert told.value > 0.9
    shuffled = np.random.default_rng(0).permutation(24) % 2
    assert not embedding_control(network, images[24:], shuffled, least=0.75, seed=0).passed
    alone = embedding_control(network, images[24:], np.arange(24), least=0.75, seed=0)  # nobody is there twice
    assert not alone.passed
    assert np.isnan(alone.value)


def test_a_judge_without_a_result_is_not_measured_and_one_that_was_not_asked_has_no_vote() -> None:
    failed, absent = not_measured("small"), not_measured("small", votes=False)
    assert set(failed) == set(under("small", dict.fromkeys(METRICS, failed["inversion_ssim.small"])))
    assert all(item.votes and not item.measured for item in failed.values())
    assert not any(item.votes for item in absent.values())
