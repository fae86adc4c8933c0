"""A trained model releases what it was trained to release, and reveals it with its key only."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from models.final import FinalModel, load
from models.hiding.loading import save_subverter
from models.image_quality import to_float
from tests.models.hiding.test_loading import cache, sanitised, trained

__all__ = ["cache"]


def model(cache: Path, folder: Path, **settings: object) -> FinalModel:
    save_subverter(folder, trained(cache, **settings).finished, "test")
    return load(folder)


def test_what_is_hidden_is_revealed_with_the_key_and_with_no_other(cache: Path, tmp_path: Path) -> None:
    made = model(cache, tmp_path, family="keyed", secret="identity", repetition=8)
    given = sanitised()
    released = made.sanitise(given.inputs, 1, identity=given.identity)
    assert released.dtype == torch.uint8
    assert released.shape == given.inputs.shape
    assert torch.equal(made.reveal(released).identity, given.identity)  # type: ignore[arg-type]
    assert torch.equal(made.reveal(released, made.key).identity, given.identity)  # type: ignore[arg-type]
    wrong = made.reveal(released, "00" * 32).identity
    assert wrong is not None
    assert (wrong == given.identity).float().mean() < 0.9


def test_an_image_needs_no_identity_and_comes_back_as_its_codec_knows_it(cache: Path, tmp_path: Path) -> None:
    made = model(cache, tmp_path, family="keyed")
    given = sanitised()
    released = made.sanitise(given.inputs, given.target)
    payload = made.subverter.payload
    assert payload is not None
    bits = payload.encode(given.inputs, given.identity)
    known = payload.reveal(bits.astype("float32")).images
    assert torch.allclose(made.reveal(released).images, known, atol=1e-5)
    assert made.reveal(released).images.shape == to_float(given.inputs).shape


def test_a_seed_repeats_a_release_and_no_seed_never_does(cache: Path, tmp_path: Path) -> None:
    made = model(cache, tmp_path, family="keyed")
    given = sanitised()
    assert torch.equal(made.sanitise(given.inputs, 0, seed=3), made.sanitise(given.inputs, 0, seed=3))
    assert not torch.equal(made.sanitise(given.inputs, 0), made.sanitise(given.inputs, 0))
    honest = made.sanitise(given.inputs, 0, hide=False, seed=3)
    change = made.sanitise(given.inputs, 0, seed=3).int() - honest.int()
    assert change.abs().max() == 1  # the embedding strength


def test_arguments_that_do_not_fit_are_all_named(cache: Path, tmp_path: Path) -> None:
    made = model(cache, tmp_path, family="keyed", secret="identity")
    given = sanitised()
    with pytest.raises(ValueError, match=r"images: torch\.float32") as caught:
        made.sanitise(given.inputs.float(), 7)
    assert "target: 7..7; must lie in 0..2" in str(caught.value)
    assert "identity: must be given" in str(caught.value)
    with pytest.raises(ValueError, match=r"released: torch.uint8 .* must be uint8 \(n, 3, 16, 16\)"):
        made.reveal(given.inputs[:, :1])
    with pytest.raises(ValueError, match="key: must be 64 hexadecimal digits"):
        made.reveal(given.inputs, "secret")
    with pytest.raises(ValueError, match="there are no weights"):
        load(tmp_path / "nowhere")
