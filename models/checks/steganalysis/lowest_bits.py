"""Attacks on replaced lowest bits, without training: each looks at one image by itself.

Replacing lowest bits mixes the values 2k and 2k + 1 and never 2k - 1 and 2k, which leaves marks. Adding or subtracting
1 at random (least-significant-bit matching, as in the family ``keyed``) leaves neither.

References:
    Westfeld, Pfitzmann. "Attacks on Steganographic Systems". Information Hiding 1999 (chi-square attack on pairs of
    values). Wilson, Hilferty. "The Distribution of Chi-Square". PNAS 17, 1931.
    Dumitrescu, Wu, Wang. "Detection of LSB Steganography via Sample Pair Analysis". IEEE Transactions on Signal
    Processing 51(7), 2003.
"""

import torch
from torch import Tensor

_LEAST_COUNT = 4
"""Pairs of values that a colour has fewer times than this say nothing."""


def chi_square_score(images: Tensor) -> Tensor:
    """Return how evenly each image uses the two values of every pair 2k, 2k + 1.

    Args:
        images: (n, 3, height, width), uint8.

    Returns:
        (n,) float64: minus the chi-square statistic of "2k and 2k + 1 are equally frequent", as a standard normal
        value (Wilson and Hilferty 1931). About 0 where all lowest bits were replaced, far below where none was and the
        histogram is uneven. 0 for an image too small to say.

    Notes:
        Both values of a pair enter, so that the statistic has as many degrees of freedom as there are pairs; the paper
        counts the even ones alone. Colours are added up.
    """
    planes = images.cpu().flatten(2).flatten(0, 1).to(torch.int64)
    rows = torch.arange(len(planes))[:, None] * 256
    counts = torch.bincount((planes + rows).flatten(), minlength=len(planes) * 256).view(len(images), -1, 2).double()
    total = counts.sum(2)
    used = total >= _LEAST_COUNT
    terms = torch.where(used, (counts[..., 0] - counts[..., 1]).square() / total.clamp(min=1), 0.0)
    degrees = used.sum(1).double()
    spread = 2 / (9 * degrees.clamp(min=1))
    normal = ((terms.sum(1) / degrees.clamp(min=1)) ** (1 / 3) - (1 - spread)) / spread.sqrt()
    return torch.where(degrees > 0, -normal, 0.0)


def sample_pair_rate(images: Tensor) -> Tensor:
    """Estimate the share of values whose lowest bit was replaced by a random one.

    Args:
        images: (n, 3, height, width), uint8, height and width at least 2.

    Returns:
        (n,) float64: near 0 for an image with nothing in its lowest bits, near 1 where all were replaced; as an
        estimate it may lie beyond both. 0 where an image is too flat to say.

    Notes:
        The smaller root of the quadratic equation of Dumitrescu, Wu and Wang (2003), over all horizontal and vertical
        pairs of neighbours in all colours. Of a negative discriminant, which noise causes, 0 is taken.
    """
    levels = images.cpu().to(torch.int16)
    sums = torch.zeros(5, len(images), dtype=torch.float64)
    for first, second in (
        (levels[..., :, :-1], levels[..., :, 1:]),
        (levels[..., :-1, :], levels[..., 1:, :]),
    ):
        even, less, more = second % 2 == 0, first < second, first > second
        same_pair = first // 2 == second // 2
        kinds = (
            (even & less) | (~even & more),  # X
            (even & more) | (~even & less),  # Y
            same_pair & (first != second),  # W
            first == second,  # Z
            torch.ones_like(even),
        )
        sums += torch.stack([kind.flatten(1).sum(1).double() for kind in kinds])
    x, y, w, z, pairs = sums
    a, b, c = 0.5 * (w + z), 2 * x - pairs, y - x
    root = (b.square() - 4 * a * c).clamp(min=0).sqrt()
    roots = torch.stack([-b + root, -b - root]) / (2 * a.clamp(min=0.5))
    rate = roots.gather(0, roots.abs().argmin(0, keepdim=True))[0]
    return torch.where(a > 0, rate, torch.where(b != 0, -c / torch.where(b != 0, b, 1.0), 0.0))
