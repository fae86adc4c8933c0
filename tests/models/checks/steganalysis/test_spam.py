import itertools

import numpy as np
import torch

from models.checks.steganalysis.spam import spam_features


def _images(n, size=12, levels=8, seed=0):
    return torch.from_numpy(np.random.default_rng(seed).integers(0, levels, (n, 3, size, size), dtype=np.uint8))


def _slow_table(planes, down, right):
    """Transition probabilities of some planes, counted triple by triple, as the paper defines them; by (w, v, u)."""
    counts = np.zeros((7, 7, 7))
    for plane in planes:
        height, width = plane.shape
        for i, j in itertools.product(range(height), range(width)):
            places = [(i + k * down, j + k * right) for k in range(4)]
            if not all(0 <= r < height and 0 <= c < width for r, c in places):
                continue
            levels = [int(plane[place]) for place in places]
            w, v, u = (max(-3, min(3, a - b)) + 3 for a, b in itertools.pairwise(levels))
            counts[w, v, u] += 1
    total = counts.sum(2, keepdims=True)
    return np.divide(counts, total, out=np.zeros_like(counts), where=total > 0)


def _slow_features(image):
    straight, diagonal = [(0, 1), (0, -1), (1, 0), (-1, 0)], [(1, 1), (-1, -1), (1, -1), (-1, 1)]
    groups = [image[:1], image[1:2], image[2:], image]
    return np.concatenate(
        [
            np.mean([_slow_table(planes, *step) for step in steps], axis=0).ravel()
            for planes in groups
            for steps in (straight, diagonal)
        ]
    )


def test_features_are_those_of_a_slow_count_of_every_triple_in_eight_directions():
    images = _images(2)
    found = spam_features(images)
    assert found.shape == (2, 2744)
    for row, image in zip(found, images, strict=True):
        np.testing.assert_allclose(row.numpy(), _slow_features(image.numpy()), atol=1e-6)


def test_features_do_not_change_when_an_image_is_mirrored_turned_or_brightened():
    images = _images(3)
    expected = spam_features(images)
    for other in (images.flip(2), images.flip(3), images.rot90(1, (2, 3)), images + 100):
        assert torch.allclose(spam_features(other), expected, atol=1e-6)


def test_an_image_in_negative_has_its_transitions_with_signs_turned():
    images = _images(2)
    turned = spam_features(images).view(2, 4, 2, 7, 7, 7).flip(3, 4, 5).flatten(1)
    assert torch.allclose(spam_features(255 - images), turned, atol=1e-6)


def test_colours_stay_apart_and_shares_of_followers_add_up_to_one_or_none():
    images = _images(2)
    swapped = spam_features(images[:, [2, 1, 0]]).view(2, 4, 686)
    plain = spam_features(images).view(2, 4, 686)
    assert torch.allclose(swapped[:, [2, 1, 0, 3]], plain, atol=1e-6)
    sums = spam_features(_images(2, size=32, levels=3)).view(2, 4, 2, 49, 7).sum(4)
    assert torch.allclose(sums[sums > 0.99], torch.ones(1), atol=1e-5)
    assert float(sums.max()) < 1.001
