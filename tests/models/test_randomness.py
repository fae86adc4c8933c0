"""Seeds: the same one gives the same numbers, another one others, and nothing leaks out."""

import subprocess
import sys

import torch

from models.randomness import derive_seed, numpy_generator, seeded, torch_generator


def test_the_same_seed_and_names_give_the_same_numbers_in_another_process() -> None:
    code = "from models.randomness import derive_seed; print(derive_seed(3, 'a', 1))"
    other = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert int(other.stdout) == derive_seed(3, "a", 1)


def test_other_seeds_and_other_names_give_other_numbers() -> None:
    seeds = {derive_seed(0, "a"), derive_seed(1, "a"), derive_seed(0, "b"), derive_seed(0, "a", "b")}
    assert len(seeds) == 4
    assert torch_generator(0, "a").initial_seed() != torch_generator(0, "b").initial_seed()
    assert numpy_generator(0, "a").integers(2**60) != numpy_generator(0, "b").integers(2**60)


def test_a_seeded_block_leaves_the_global_state_as_it_was() -> None:
    torch.manual_seed(1)
    expected = torch.rand(3)
    torch.manual_seed(1)
    with seeded(5, "block"):
        first = torch.rand(3)
    assert torch.equal(torch.rand(3), expected)
    with seeded(5, "block"):
        assert torch.equal(torch.rand(3), first)
