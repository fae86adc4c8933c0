"""Procedural faces are reproducible image by image, balanced, distinct, and readable by a small network."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

from models.data import DataError, FaceData, ProceduralConfig, SplitConfig, Splits, procedural_faces, split_faces
from models.data import procedural as drawing_loop
from models.data.appearance import EXPRESSIONS
from models.data.procedural import render

SMALL = ProceduralConfig(identities=3, images=63, nuisance=1.0)


def test_every_pair_of_person_and_expression_is_drawn_equally_often() -> None:
    data = procedural_faces(ProceduralConfig(identities=5, images=2 * 35 + 11, nuisance=0))
    counts = np.zeros((5, 7), int)
    np.add.at(counts, (data.identity, data.expression), 1)
    assert counts.min() == 2
    assert counts.max() == 3
    assert data.expression_names == ("anger", "disgust", "fear", "joy", "neutral", "sadness", "surprise")


def test_image_depends_neither_on_batch_nor_on_number_of_images(monkeypatch: pytest.MonkeyPatch) -> None:
    images = procedural_faces(SMALL).images
    chosen = np.array([62, 7, 30])
    assert np.array_equal(render(SMALL, chosen), images[chosen])
    longer = ProceduralConfig(identities=3, images=80, nuisance=1.0)
    assert np.array_equal(procedural_faces(longer).images[:63], images)
    for samples in (1, 5 * 64 * 64):
        monkeypatch.setattr(drawing_loop, "_SAMPLES_AT_ONCE", samples)
        assert np.array_equal(procedural_faces(SMALL).images, images)


def test_another_process_draws_the_same_faces() -> None:
    code = (
        "from models.data import ProceduralConfig, procedural_faces\n"
        "print(procedural_faces(ProceduralConfig(identities=3, images=63, nuisance=1.0)).fingerprint)"
    )
    root = Path(__file__).parents[3]
    other = subprocess.run([sys.executable, "-c", code], cwd=root, capture_output=True, text=True, check=True)
    assert other.stdout.strip() == procedural_faces(SMALL).fingerprint


def test_another_seed_draws_other_people_and_another_variation() -> None:
    still = ProceduralConfig(identities=3, images=21, nuisance=0)
    other = ProceduralConfig(identities=3, images=21, nuisance=0, seed=1)
    assert not np.array_equal(render(still, np.array([0])), render(other, np.array([0])))
    assert not np.array_equal(procedural_faces(SMALL).images[0], procedural_faces(SMALL).images[21])


def test_without_nuisance_a_person_with_an_expression_always_looks_the_same() -> None:
    images = procedural_faces(ProceduralConfig(identities=3, images=42, nuisance=0)).images
    assert np.array_equal(images[:21], images[21:])


def test_nuisance_moves_images_away_from_the_still_ones_in_proportion() -> None:
    still = procedural_faces(ProceduralConfig(identities=3, images=63, nuisance=0)).images.astype(float)
    moved = [
        np.abs(procedural_faces(ProceduralConfig(identities=3, images=63, nuisance=amount)).images - still).mean()
        for amount in (0.25, 0.5, 1.0)
    ]
    assert 0 < moved[0] < moved[1] < moved[2]


@pytest.mark.parametrize("seed", [0, 1])
def test_many_people_all_differ_in_person_and_expression(seed: int) -> None:
    data = procedural_faces(ProceduralConfig(identities=40, images=280, nuisance=0, seed=seed))
    flat = data.images.reshape(280, -1) / 255
    square = np.square(flat).sum(axis=1)
    distance = (square[:, None] + square[None] - 2 * flat @ flat.T) / flat.shape[1]
    np.fill_diagonal(distance, np.inf)
    other_person = data.identity[:, None] != data.identity[None]
    # The pixel noise at full nuisance has a variance of (4 / 255) ** 2 = 0.00025 and so differs by twice that.
    assert distance[other_person].min() > 2 * 0.00025
    assert distance.min() > 2 * 0.00025


@pytest.mark.parametrize(("size", "identities"), [(32, 2), (64, 9), (128, 2)])
def test_any_power_of_two_and_any_number_of_people_is_drawn(size: int, identities: int) -> None:
    data = procedural_faces(ProceduralConfig(identities=identities, images=7 * identities, size=size))
    assert data.images.shape == (7 * identities, 3, size, size)
    assert data.images.dtype == np.uint8
    assert data.images.std() > 20
    assert len(data.identity_names) == identities


def test_sizes_show_the_same_face() -> None:
    small = procedural_faces(ProceduralConfig(identities=2, images=14, size=32, nuisance=0)).images.astype(float)
    large = procedural_faces(ProceduralConfig(identities=2, images=14, size=64, nuisance=0)).images.astype(float)
    halved = large.reshape(14, 3, 32, 2, 32, 2).mean(axis=(3, 5))
    assert np.abs(halved - small).mean() < 2  # grey levels: only rims, blurred over a sample, differ


def test_fields_out_of_range_are_reported_together() -> None:
    with pytest.raises(DataError) as caught:
        procedural_faces(ProceduralConfig(identities=1, images=13, size=48, nuisance=1.5, seed=-1))
    named = [problem.split(" = ")[0] for problem in caught.value.problems]
    assert named == ["identities", "images", "size", "nuisance", "seed"]


@pytest.mark.parametrize("size", [0, 1, 16, 31, 33, 96, -32])
def test_sizes_other_than_powers_of_two_from_32_are_refused(size: int) -> None:
    assert "power of two >= 32" in str(ProceduralConfig(size=size).problems())


@pytest.mark.slow
def test_a_small_network_reads_person_and_expression_at_the_default_nuisance() -> None:
    config = ProceduralConfig()
    data = procedural_faces(config)
    splits = split_faces(data, SplitConfig())
    identity, expression = _test_accuracy(data, splits)
    print(f"identity {identity:.3f}, expression {expression:.3f}")
    assert identity >= 0.95
    assert expression >= 0.95


def _test_accuracy(data: FaceData, splits: Splits) -> tuple[float, float]:
    """Fit a three-layer network to both labels; accuracy of each on the test images."""
    torch.manual_seed(0)
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    people = len(data.identity_names)
    layers: list[nn.Module] = []
    for inputs, outputs in ((3, 24), (24, 48), (48, 64)):
        layers += [nn.Conv2d(inputs, outputs, 3, padding=1), nn.BatchNorm2d(outputs), nn.ReLU(), nn.MaxPool2d(2)]
    network = nn.Sequential(*layers, nn.Flatten(), nn.Linear(64 * 4 * 4, people + len(EXPRESSIONS)))
    optimiser = torch.optim.Adam(network.parameters(), 2e-3)
    images = torch.tensor(data.images).float() / 127.5 - 1
    identity, expression = torch.tensor(data.identity), torch.tensor(data.expression)
    train, test = torch.tensor(splits.train), torch.tensor(splits.test)
    for _ in range(3):
        for batch in train[torch.randperm(len(train))].split(64):
            scores = network(images[batch])
            loss = nn.functional.cross_entropy(scores[:, :people], identity[batch])
            loss = loss + nn.functional.cross_entropy(scores[:, people:], expression[batch])
            optimiser.zero_grad()
            loss.backward()
            optimiser.step()
    network.eval()
    with torch.no_grad():
        scores = network(images[test])
    torch.set_num_threads(threads)
    right = [scores[:, :people].argmax(1) == identity[test], scores[:, people:].argmax(1) == expression[test]]
    return right[0].float().mean().item(), right[1].float().mean().item()
