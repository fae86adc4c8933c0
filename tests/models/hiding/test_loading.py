"""A finished subverter written to a trial's folder and read back: it must hide and reveal as before."""

from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import save_file

from models.channel import Channel
from models.checkpoints import Saved, load, save
from models.hiding.carriers import Sanitised
from models.hiding.config import SubversionConfig
from models.hiding.key import Key
from models.hiding.learned import LearnedConfig
from models.hiding.loading import WEIGHTS, load_subverter, save_subverter
from models.hiding.sampled import SampledConfig
from models.hiding.subverter import Subverter, Workshop
from models.ppgan.config import PPGANConfig
from models.ppgan.generator import Generator


@pytest.fixture(scope="module")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("cache")


def sanitised(n: int = 12) -> Sanitised:
    random = torch.Generator().manual_seed(n)
    inputs, covers = (torch.randint(40, 200, (n, 3, 16, 16), generator=random).to(torch.uint8) for _ in range(2))
    return Sanitised(inputs, torch.arange(n) % 3, torch.arange(n) % 3, covers)


def trained(cache: Path, channel: str = "png", **settings: Any) -> Subverter:
    learned = {"epochs": 1, "steps_per_epoch": 2, "batch_size": 8, "width": 8, **settings.pop("learned", {})}
    config = SubversionConfig(
        learned=LearnedConfig(**learned),
        sampled=SampledConfig(steps=2, width=4, batch_size=8, hash_bits=4),
        **{"codec_steps": 2, "code_bits": 64, **settings},
    )
    ppgan = PPGANConfig(width=4, latent=8, batch_size=8)
    workshop = Workshop(
        train=sanitised(40),
        identities=3,
        expression=torch.arange(40) % 2,
        expressions=2,
        ppgan=ppgan,
        generator=Generator(ppgan, size=16, identities=3).eval(),
        channel=Channel.parse(channel),
        fingerprint={"data": "test"},
        seed=0,
        device="cpu",
        cache=cache,
    )
    made = Subverter(config, workshop, seed=5)
    while made.epochs_left:
        made.run_epoch()
    return made


FINISHED: dict[str, dict[str, Any]] = {
    "keyed image": {"family": "keyed"},
    "keyed identity": {"family": "keyed", "secret": "identity"},
    "learned behind JPEG": {"channel": "jpeg90", "family": "learned", "secret": "identity", "strength": 4},
    "learned code": {"family": "learned", "strength": 2},
    "learned invertible": {"family": "learned", "strength": 2, "learned": {"architecture": "invertible"}},
    "learned image": {"family": "learned", "strength": 2, "learned": {"payload": "image", "key": "none"}},
    "learned, fine-tuned": {"family": "learned", "secret": "identity", "learned": {"fine_tune_epochs": 1}},
    "sampled": {"family": "sampled", "secret": "identity"},
    "strength 0": {"family": "keyed", "strength": 0},
}


@pytest.mark.parametrize("settings", FINISHED.values(), ids=FINISHED.keys())
def test_what_was_read_back_hides_and_reveals_bit_for_bit(
    cache: Path, tmp_path: Path, settings: dict[str, Any]
) -> None:
    made = trained(cache, **settings)
    save_subverter(tmp_path, made.finished)
    back = load_subverter(tmp_path)
    given = sanitised()
    before, after = (one.embed(given, name="test") for one in (made, back))
    assert torch.equal(before.images, after.images)
    assert (before.bits is None) == (after.bits is None)
    assert before.bits is None or (before.bits == after.bits).all()
    for key in (None, Key.from_seed(99)):
        ours, theirs = (one.reveal(before.images, key).revealed for one in (made, back))
        assert torch.equal(ours.images, theirs.images)
        assert ours.identity is None or torch.equal(ours.identity, theirs.identity)  # type: ignore[arg-type]
    assert (back.config, back.key, back.size, back.identities) == (made.config, made.key, 16, 3)
    code = torch.zeros(2, 8), torch.arange(2)
    assert torch.equal(made.generator.decode(*code), back.generator.decode(*code))


def test_a_trial_without_weights_says_why(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"weights.safetensors: there are no weights, none were written"):
        load_subverter(tmp_path)
    (tmp_path / "weights_removed.txt").touch()
    with pytest.raises(ValueError, match=r"removed as the study went .keep.best.*train the configuration anew"):
        load_subverter(tmp_path)


def test_what_is_damaged_old_or_does_not_fit_is_refused_by_name(cache: Path, tmp_path: Path) -> None:
    save_subverter(tmp_path, trained(cache).finished)
    path = tmp_path / WEIGHTS
    whole, content = load(path), path.read_bytes()
    path.unlink()  # its tensors are mapped
    path.write_bytes(content[: len(content) // 2])
    with pytest.raises(ValueError, match=r"weights.safetensors: cannot be read, the file is damaged"):
        load_subverter(tmp_path)
    save(path, Saved(whole.tensors, {name: value for name, value in whole.note.items() if name != "size"}))
    with pytest.raises(ValueError, match=r"lacks 'size'; an earlier version wrote it"):
        load_subverter(tmp_path)
    save(path, Saved(whole.tensors, {**whole.note, "subversion": {**whole.note["subversion"], "code_bits": 128}}))
    with pytest.raises(ValueError, match="do not fit together"):
        load_subverter(tmp_path)
    save(path, Saved(whole.tensors, {**whole.note, "subversion": {**whole.note["subversion"], "strength": 99}}))
    with pytest.raises(ValueError, match=r"subversion.strength=99: must be a whole number from 0 to 64"):
        load_subverter(tmp_path)
    save_file(dict(whole.tensors), path)
    with pytest.raises(ValueError, match="lacks 'stage_one'"):
        load_subverter(tmp_path)


def test_images_of_another_name_have_other_nonces(cache: Path, tmp_path: Path) -> None:
    save_subverter(tmp_path, trained(cache).finished)
    back, given = load_subverter(tmp_path), sanitised()
    assert not torch.equal(back.embed(given, name="test").images, back.embed(given, name="train").images)
