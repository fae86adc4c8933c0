"""A member of a pack gets what it would get alone, and nothing of the others."""

from __future__ import annotations

import contextlib
import itertools
import math
from contextlib import AbstractContextManager
from typing import Any

import pytest
import torch

from models.channel import Channel
from models.hiding.learned import training as learned
from models.hiding.learned.config import ARCHITECTURES, LearnedConfig
from models.hiding.learned.training import LearnedData, LearnedTraining
from models.packs import embedders, probe, run_epoch, why_not
from models.packs.probe import Probe

TOLERANCE = 1e-3
"""Largest difference of a loss from the member's own alone, relative or in nats."""

MEAN_DIFFERENCE = 1e-3
"""Largest mean difference of a tensor of weights or running statistics; a step is up to 4e-3."""

MEMBERS = (
    {"learning_rate": 1e-3, "identity_weight": 0.1, "strength": 1},
    {"learning_rate": 4e-3, "identity_weight": 0.3, "residual_weight": 0.0, "strength": 3},
    {"learning_rate": 2e-3, "steganalysis_weight": 0.5, "reset_every": 1, "strength": 2},
)


@pytest.fixture(autouse=True)
def _full_precision(monkeypatch: pytest.MonkeyPatch) -> None:
    """Rounding to bfloat16 in another order would hide small errors of the pack."""

    def full(device: torch.device) -> AbstractContextManager[object]:
        return contextlib.nullcontext()

    monkeypatch.setattr(learned, "training_precision", full)
    monkeypatch.setattr(embedders, "training_precision", full)


def training(number: int, *, channel: str | None = None, **settings: Any) -> LearnedTraining:
    """Return one member, with data, seed and numbers of its own."""
    random = torch.Generator().manual_seed(number)
    covers = torch.randint(0, 256, (24, 3, 16, 16), generator=random, dtype=torch.uint8)
    common = {"width": 8, "batch_size": 8, "steps_per_epoch": 5, "epochs": 2}
    common |= {"identity_weight": 0.1, "steganalysis_weight": 0.1}
    given = {**common, **MEMBERS[number % len(MEMBERS)], **settings}
    strength = given.pop("strength")
    data = LearnedData(covers, torch.arange(24) % 3, 3, secrets=covers if given.get("payload") == "image" else None)
    return LearnedTraining(
        LearnedConfig(**given), data, bits=70, strength=strength, seed=number,
        channel=None if channel is None else Channel.parse(channel),
    )  # fmt: skip


def members(count: int = 3, **settings: Any) -> list[LearnedTraining]:
    return [training(number, **settings) for number in range(count)]


def assert_same(packed: LearnedTraining, alone: LearnedTraining) -> None:
    """Weights and running statistics agree, and so does what Adam keeps."""
    assert packed.epoch == alone.epoch
    for name in ("embedder", "extractor", "adversaries"):
        ours, theirs = getattr(packed, name).state_dict(), getattr(alone, name).state_dict()
        # Not biases: those before a normalisation cancel, so that their gradients are nothing but rounding.
        for key, value in ((key, value) for key, value in ours.items() if value.dim() > 1 or "running_var" in key):
            # The mean: at first Adam goes by the sign of a gradient, and some weights have next to none.
            assert float((value.double() - theirs[key].double()).abs().mean()) <= MEAN_DIFFERENCE, f"{name}.{key}"
    ours, theirs = packed.optimiser.state_dict()["state"], alone.optimiser.state_dict()["state"]
    assert [float(state["step"]) for state in ours.values()] == [float(state["step"]) for state in theirs.values()]


@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_a_member_of_a_pack_equals_the_same_training_alone(architecture: str) -> None:
    together, alone = members(architecture=architecture), members(architecture=architecture)
    for _ in range(2):
        for found, other in zip(run_epoch(together), alone, strict=True):
            assert found == pytest.approx(other.run_epoch(), rel=TOLERANCE, abs=TOLERANCE)
    for packed, other in zip(together, alone, strict=True):
        assert_same(packed, other)


@pytest.mark.parametrize(
    "settings",
    [
        {"channel": "jpeg75"},
        {"identity_adversary": "ensemble", "steganalyser": "srnet"},
        {"payload": "image", "key": "none"},
        {"identity_weight": 0.0, "steganalysis_weight": 0.0},
    ],
    ids=str,
)
def test_so_it_does_behind_channels_with_any_adversary_or_none_and_with_images(settings: dict[str, Any]) -> None:
    together, alone = members(2, **settings), members(2, **settings)
    for found, other in zip(run_epoch(together), alone, strict=True):
        assert found == pytest.approx(other.run_epoch(), rel=TOLERANCE, abs=TOLERANCE)


def test_who_leaves_a_pack_leaves_the_others_as_they_are() -> None:
    together, alone = members(), members()
    run_epoch(together)
    stopped, *rest = together
    found = run_epoch(rest)
    for other in alone:
        other.run_epoch()
    assert stopped.epoch == 1
    for losses, other in zip(found, alone[1:], strict=True):
        assert losses == pytest.approx(other.run_epoch(), rel=TOLERANCE, abs=TOLERANCE)


def test_a_member_that_has_left_goes_on_alone_where_it_was(tmp_path: Any) -> None:
    together, alone = members(2), members(2)
    run_epoch(together)
    alone[1].run_epoch()
    restored = training(1)
    torch.save(together[1].state_dict(), tmp_path / "state.pt")
    restored.load_state_dict(torch.load(tmp_path / "state.pt", weights_only=True))
    expected = alone[1].run_epoch()
    for member in (together[1], restored):
        assert member.run_epoch() == pytest.approx(expected, rel=TOLERANCE, abs=TOLERANCE)


def test_a_member_that_diverges_is_told_alone() -> None:
    together, alone = members(), members()
    with torch.no_grad():
        next(together[1].extractor.parameters()).fill_(math.nan)
    found = run_epoch(together)
    assert isinstance(found[1], FloatingPointError)
    assert "learned embedder, epoch 1" in str(found[1])
    for number in (0, 2):
        assert found[number] == pytest.approx(alone[number].run_epoch(), rel=TOLERANCE, abs=TOLERANCE)


def test_what_cannot_be_stacked_is_refused_with_every_reason() -> None:
    pack = [training(0), training(1, width=16, batch_size=4), training(2, identity_weight=0.0)]
    found = why_not(pack)
    assert "member 1: width=16, member 0 has 8; these must be equal" in found
    assert "member 1: batch_size=4, member 0 has 8; these must be equal" in found
    assert any(line.startswith("member 2: adversaries") for line in found)
    with pytest.raises(ValueError, match="not a pack:\nmember 1: "):
        run_epoch(pack)
    assert [member.epoch for member in pack] == [0, 0, 0]


def test_noise_of_a_channel_is_refused() -> None:
    assert why_not(members(1, channel="noise2")) == [
        "the channel draws noise, which members of a pack cannot draw for themselves; train them alone"
    ]


@pytest.mark.parametrize(
    ("count", "alone", "packed", "pays"),
    [(4, 4.0, 1.0, True), (4, 1.2, 1.0, True), (4, 1.1, 1.0, False), (4, 1.0, 2.0, False), (1, 4.0, 1.0, False)],
)
def test_a_pack_pays_where_it_is_clearly_faster(count: int, alone: float, packed: float, pays: bool) -> None:
    assert Probe(count, alone, packed).pays is pays


def test_the_probe_times_both_ways_and_leaves_the_trainings_alone() -> None:
    ticks = itertools.accumulate([0.0, 6.0, 0.0, 2.0, 0.0, 5.0, 0.0, 3.0])  # alone 6 and 5 s, packed 2 and 3 s
    pack = members(2)
    before = [{name: value.clone() for name, value in member.embedder.state_dict().items()} for member in pack]
    assert probe(pack, rounds=2, clock=lambda: next(ticks)) == Probe(2, 5.0, 2.0)
    for member, state in zip(pack, before, strict=True):
        assert member.epoch == 0
        assert all(torch.equal(value, state[name]) for name, value in member.embedder.state_dict().items())
