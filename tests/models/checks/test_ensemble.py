"""The ensemble: weights from validation images, and more than its best member where they see different things."""

import torch

from models.checks.ensemble import combined, ensemble_weights
from tests.models.checks.smooth_images import accuracy_of


def _member(labels, strength, seed, classes=4):
    noise = torch.randn((len(labels), classes), generator=torch.Generator().manual_seed(seed))
    return noise + strength * torch.nn.functional.one_hot(labels, classes)


def test_members_that_see_different_halves_together_read_more_than_either():
    labels = torch.arange(800) % 4
    first, second = _member(labels, 1.5, 1), _member(labels, 1.5, 2)
    weights = ensemble_weights([first[:400], second[:400]], labels[:400])
    together = accuracy_of(combined([first, second], weights)[400:], labels[400:])
    assert together > max(accuracy_of(part[400:], labels[400:]) for part in (first, second)) + 0.03


def test_a_member_that_knows_nothing_gets_hardly_any_weight():
    labels = torch.arange(400) % 4
    weights = ensemble_weights([_member(labels, 3.0, 1), _member(labels, 0.0, 2) * 5], labels)
    assert float(weights[1]) < 0.05 * float(weights[0])


def test_weights_are_the_best_there_are():
    labels = torch.arange(300) % 4
    members = [_member(labels, strength, number) for number, strength in enumerate((0.5, 1.0, 2.0))]
    weights = ensemble_weights(members, labels)

    def loss(values):
        return float(torch.nn.functional.cross_entropy(combined(members, values), labels))

    least = loss(weights)
    for step in torch.eye(3) * 0.05:
        assert loss(weights + step) >= least - 1e-4
        assert loss((weights - step).clamp(min=0)) >= least - 1e-4
