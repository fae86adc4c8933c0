"""The fixed design of ``benchmarks.space``: which configurations are measured, in groups, the most informative first.

No search: every point is stated here, so that two versions of the code, or two machines, measure the same thing. What
the points leave out keeps the experiment's defaults. Settings that should work under a channel follow from what each
family can carry there: lowest bits survive nothing but ``png``; index modulation of pixels survives noise, that of
block-DCT coefficients survives JPEG (Chen and Wornell, "Quantization index modulation", IEEE Trans. Inf. Theory 47,
2001); spread spectrum does not depend on a grid of values and so stands a change of gain, as blur makes one.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

CHANNELS = ("png", "jpeg95", "jpeg75", "noise", "blur", "resize")
FAMILIES, LEARNED, SLICES, DISCRIMINATORS = "families", "learned_channels", "slices", "discriminators"

STRENGTHS = (1, 2, 3, 4, 6, 8, 12)
SHARES = {"noise": (0.02, 0.05, 0.1, 0.3, 1.0), "jpeg90": (0.1, 0.25, 0.5, 1.0)}
"""Shares of the carriers, by channel; a block DCT of luma alone has an eighth of the carriers that pixels are."""


@dataclass(frozen=True)
class Point:
    """One configuration, in one group."""

    group: str
    name: str
    """For people; unique in the group."""
    values: Mapping[str, Any]
    """What differs from the experiment's defaults, by dotted name."""
    seeds: int = 1
    """Replications: each has a sanitiser, adversaries and keys of its own."""
    varied: str = ""
    """Parameter that a slice or a discriminator's effect is about; empty for none."""
    base: str = ""
    """Name of the point in the group that this one is compared with; empty for none."""


@dataclass(frozen=True)
class Run:
    """One configuration with one seed, and every point of the design that it serves."""

    values: Mapping[str, Any]
    seed: int
    points: tuple[Point, ...] = field(compare=False)


def design() -> tuple[Point, ...]:
    """Return every point of every group."""
    return (*families(), *learned_channels(), *slices(), *discriminators())


def runs(points: Sequence[Point], seeds: int | None = None) -> list[Run]:
    """Return what must be run: each configuration and seed once, all first seeds before any second one.

    Args:
        points: Points, the most informative first.
        seeds: Replications of every point; None for those that the design states.
    """
    shared: dict[tuple[int, tuple[tuple[str, Any], ...]], list[Point]] = {}
    for seed in range(max((seeds or point.seeds for point in points), default=0)):
        for point in points:
            if seed < (seeds or point.seeds):
                shared.setdefault((seed, tuple(sorted(point.values.items()))), []).append(point)
    return [Run(members[0].values, seed, tuple(members)) for (seed, _), members in shared.items()]


def _values(family: str, secret: str, channel: str, **others: Any) -> dict[str, Any]:
    """Return the values of a point; ``others`` are fields of ``subversion``, "__" standing for a dot."""
    named = {f"subversion.{name.replace('__', '.')}": value for name, value in others.items()}
    return {"channel": channel, "subversion.family": family, "subversion.secret": secret, **named}


_LOWEST = {"keyed__modulation": "lowest_bits", "keyed__domain": "pixels"}
_PIXELS = {"keyed__modulation": "index", "keyed__domain": "pixels", "keyed__nonce_bits": 16}
_DCT = {"keyed__modulation": "index", "keyed__domain": "dct", "keyed__nonce_bits": 16}
_SPREAD = {"keyed__modulation": "spread_spectrum", "keyed__domain": "pixels", "keyed__nonce_bits": 16}
_ALL = {"keyed__carrier_share": 1.0, "keyed__code": "reed_muller"}

_KEYED: dict[str, dict[str, dict[str, dict[str, Any]]]] = {
    "identity": {
        "png": {"lowest bits": {"strength": 1, **_LOWEST}},
        "jpeg95": {"index, dct": {"strength": 2, "keyed__carrier_share": 0.25, **_DCT}},
        "jpeg75": {"index, dct": {"strength": 6, "keyed__carrier_share": 0.25, **_DCT}},
        "noise": {"index, pixels": {"strength": 3, "keyed__carrier_share": 0.1, **_PIXELS}},
        "blur": {"spread spectrum, pixels": {"strength": 6, "keyed__carrier_share": 1.0, **_SPREAD}},
        "resize": {"spread spectrum, pixels": {"strength": 12, "keyed__carrier_share": 1.0, **_SPREAD}},
    },
    "image": {
        "png": {
            "lowest bits, 1280": {"strength": 1, "code_bits": 1280, **_LOWEST},
            "lowest bits, 640": {"strength": 1, "code_bits": 640, **_LOWEST},
            "lowest bits, textured, 640": {"strength": 1, "code_bits": 640, "keyed__placement": "textured", **_LOWEST},
        },
        "jpeg95": {"index, dct, 64": {"strength": 4, "code_bits": 64, **_DCT, **_ALL}},
        "jpeg75": {"index, dct, 64": {"strength": 12, "code_bits": 64, **_DCT, **_ALL}},
        "noise": {
            "index, pixels, 256": {"strength": 3, "code_bits": 256, **_PIXELS, **_ALL},
            "index, pixels, 1280": {"strength": 6, "code_bits": 1280, **_PIXELS, **_ALL},
        },
        "blur": {"index, pixels, 64": {"strength": 16, "code_bits": 64, **_PIXELS, **_ALL}},
        "resize": {"spread spectrum, pixels, 64": {"strength": 24, "code_bits": 64, **_SPREAD, **_ALL}},
    },
}
"""Settings of the keyed family that should work, by secret and channel: few bit errors on one sanitiser's covers."""

_LEARNED_STRENGTH = {"png": 2, "jpeg95": 4, "jpeg75": 8, "noise": 4, "blur": 4, "resize": 4}


def families() -> Iterator[Point]:
    """Yield every family with every secret under every channel, at settings that should work there."""
    for channel in CHANNELS:
        for secret in ("identity", "image"):
            for setting, values in _KEYED[secret][channel].items():
                name = f"keyed {secret} {channel}: {setting}"
                yield Point(FAMILIES, name, _values("keyed", secret, channel, **values))
    for channel in CHANNELS:
        for secret in ("identity", "image"):  # an image is refused: sampling noise carries a few bits
            yield Point(FAMILIES, f"sampled {secret} {channel}", _values("sampled", secret, channel))
    for channel in CHANNELS:
        strength = _LEARNED_STRENGTH[channel]
        for secret, rate in (("identity", {"repetition": 4}), ("image", {"code_bits": 256})):
            name = f"learned {secret} {channel}: strength {strength}"
            yield Point(FAMILIES, name, _values("learned", secret, channel, strength=strength, **rate))


def learned_channels() -> Iterator[Point]:
    """Yield each learned architecture with and without JPEG, trained through it and not: does the training matter?

    Without a key, since the nonce of one takes 64 bits more than the secret.
    """
    for architecture in ("cells", "residual_unet", "invertible"):
        for channel, through in (("png", True), ("jpeg75", False), ("jpeg75", True)):
            how = channel if channel == "png" else f"{channel}, {'through it' if through else 'as if png'}"
            values = _values(
                "learned",
                "identity",
                channel,
                strength=4,
                learned__key="none",
                learned__architecture=architecture,
                learned__through_channel=through,
            )
            yield Point(LEARNED, f"{architecture}, {how}", values)


def slices() -> Iterator[Point]:
    """Yield embedding strength and carrier share, one at a time, where a channel makes both matter; two seeds each."""
    for channel, modulation, share, strength in (("noise", _PIXELS, 0.1, 3), ("jpeg90", _DCT, 0.25, 3)):
        places = [("subversion.strength", value, share) for value in STRENGTHS]
        places += [("subversion.keyed.carrier_share", strength, value) for value in SHARES[channel]]
        for varied, levels, part in places:
            values = _values("keyed", "identity", channel, strength=levels, keyed__carrier_share=part, **modulation)
            at = f"strength {levels}" if varied.endswith("strength") else f"share {part:g}"
            yield Point(SLICES, f"{channel}, {at}", values, seeds=2, varied=varied)


def discriminators() -> Iterator[Point]:
    """Yield discriminator types and weights, one at a time around a base point of each family.

    The critic and the weights of stage one change the sanitiser, and with it what every family can hide in; the
    adversaries in the loop are the learned family's alone.
    """
    bases = {
        "keyed": _values("keyed", "image", "png", strength=1, code_bits=1280, **_LOWEST),
        "learned": _values(
            "learned",
            "image",
            "png",
            strength=4,
            code_bits=256,
            learned__identity_adversary="plain",
            learned__identity_weight=0.03,
            learned__steganalyser="high_pass",
            learned__steganalysis_weight=0.01,
        ),
        "sampled": _values("sampled", "identity", "png"),
    }
    for family, base in bases.items():
        yield Point(DISCRIMINATORS, f"{family}: base", base)
    for varied, values in _LOOP.items():
        yield from (_changed("learned", bases["learned"], f"subversion.learned.{varied}", value) for value in values)
    for varied, values in _STAGE_ONE.items():
        for value in values:
            for family in ("keyed", "learned", "sampled") if varied == "critic" else ("keyed",):
                yield _changed(family, bases[family], f"stage_one.{varied}", value)


def _changed(family: str, base: Mapping[str, Any], varied: str, value: Any) -> Point:
    name = f"{family}: {varied.rpartition('.')[2]} {value}"
    return Point(DISCRIMINATORS, name, {**base, varied: value}, varied=varied, base=f"{family}: base")


_LOOP: dict[str, tuple[Any, ...]] = {
    "identity_adversary": ("none", "high_pass", "ensemble"),
    "identity_weight": (0.3, 1.0),
    "reset_every": (1,),
    "steganalyser": ("none", "srnet"),
    "steganalysis_weight": (0.03, 0.1),
    "residual_weight": (0.1, 0.3),
}
"""The learned family's adversaries in the loop and its weights, beside those of the base."""

_STAGE_ONE: dict[str, tuple[Any, ...]] = {
    "critic": ("patch", "spectral_hinge", "residual", "multi_scale"),
    "concealment_weight": (0.3, 3.0),
    "adversarial_weight": (0.03, 0.3),
}
"""Critics, and weights of the sanitiser's losses, beside the defaults; each is one more training of stage one."""
