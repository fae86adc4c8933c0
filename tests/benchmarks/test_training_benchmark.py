"""The benchmark of the training step: what it compares does the same work, and its processes answer in turns."""

from __future__ import annotations

from argparse import Namespace

import pytest

from benchmarks.training import KINDS, measure


@pytest.mark.slow  # two processes that import torch
def test_both_steps_are_measured_and_ours_does_no_more_than_the_plain_one() -> None:
    found = measure(Namespace(threads=1, batch=2, rounds=2, steps=1))
    assert set(found) == set(KINDS)
    work = {kind: operations for kind, (operations, _) in found.items()}
    assert 0.9 * work["plain"] < work["ours"] <= work["plain"]
    for _, rounds in found.values():
        assert len(rounds) == 2
        assert all(taken > 0 and limit > 0 for taken, limit in rounds)
