"""The sampled family: secrets come back by the key alone, and what is released is what an honest sanitiser releases."""

from dataclasses import replace
from functools import lru_cache
from pathlib import Path

import numpy as np
import pytest
import torch
from scipy.stats import binom, kstest
from torch import Tensor

from models.channel import Channel
from models.checkpoints import Saved, load, save
from models.checks.config import CheckConfig
from models.checks.material import Release
from models.checks.steganalysis.detection import detect
from models.hiding.key import Key
from models.hiding.sampled import (
    Chosen,
    NoiseExtractor,
    SampledConfig,
    capacity_bits,
    choose,
    embed,
    extract,
    train_extractor,
)
from models.hiding.sampled.embedding import hash_symbols
from models.hiding.sampled.extractor import draw, moments
from models.ppgan.config import PPGANConfig
from models.ppgan.generator import Generator
from models.randomness import numpy_generator, seeded

KEY, WRONG_KEY = Key.from_seed(1), Key.from_seed(2)
CONFIG = SampledConfig(hash_bits=6, steps=60, width=8, batch_size=32)
PNG, NOISE = Channel.parse("png"), Channel.parse("noise8")
BITS, PEOPLE = 2, 4


@lru_cache(maxsize=1)
def sanitiser() -> Generator:
    """A sanitiser without training, whose contrast is raised until its noise moves pixels by many grey levels."""
    with seeded(0, "sanitiser"):
        generator = Generator(PPGANConfig(width=8, latent=12), size=16, identities=PEOPLE).eval()
    for layer in (generator.spread, generator.decoder[-2]):
        layer.weight.data *= 3.0
    return generator


def inputs(n: int, seed: int = 0) -> Tensor:
    return torch.from_numpy(np.random.default_rng(seed).integers(0, 256, (n, 3, 16, 16), dtype=np.uint8))


def secrets(n: int) -> tuple[Tensor, np.ndarray]:
    random = np.random.default_rng(1)
    return torch.from_numpy(random.integers(0, PEOPLE, n)), random.integers(0, 2, (n, BITS), dtype=np.uint8)


@lru_cache(maxsize=4)
def extractor(channel: str = "png") -> NoiseExtractor:
    return train_extractor(CONFIG, sanitiser(), inputs(200), channel=Channel.parse(channel), seed=0)


def hide(
    n: int = 300, config: SampledConfig = CONFIG, channel: Channel = PNG, seed: int = 3
) -> tuple[Chosen, np.ndarray]:
    target, bits = secrets(n)
    found = choose(
        sanitiser(), inputs(n, 4), target, bits,
        extractor=extractor(str(channel)), key=KEY, channel=channel, config=config, random=np.random.default_rng(seed),
    )  # fmt: skip
    return found, bits


def test_every_secret_that_a_draw_was_found_for_comes_back_from_a_channel_without_randomness() -> None:
    found, bits = hide()
    probabilities = extract(extractor(), found.released, BITS, KEY)
    assert found.found.float().mean() >= 0.99
    assert np.array_equal(probabilities[found.found] > 0.5, bits[found.found] == 1)
    assert set(np.unique(probabilities)) == {0.0, 1.0}  # nothing is uncertain
    assert found.released.dtype == torch.uint8


def test_a_symbol_takes_as_many_draws_as_there_are_symbols() -> None:
    draws = hide()[0].draws.double()
    assert abs(float(draws.mean()) - 2**BITS) < 4 * np.sqrt(12 / 300)  # geometric: variance (1 - p) / p^2 = 12
    assert draws.max() <= CONFIG.draws


def test_a_wrong_key_reads_bits_at_a_rate_inside_the_exact_interval_around_one_half() -> None:
    # Several wrong keys: of a single one, the 64 entries of the table agree with the right one's by chance alone.
    found, bits = hide()
    wrong = [extract(extractor(), found.released, BITS, Key.from_seed(seed)) > 0.5 for seed in range(10, 60)]
    rates = np.array([(read != (bits == 1)).mean() for read in wrong])
    assert abs(rates.mean() - 0.5) < 4 * rates.std(ddof=1) / np.sqrt(len(rates))


def test_the_same_seed_releases_the_same_and_another_does_not_and_global_randomness_is_left_alone() -> None:
    state = torch.get_rng_state()
    first, again, other = hide(50)[0], hide(50)[0], hide(50, seed=4)[0]
    assert torch.equal(first.released, again.released)
    assert not torch.equal(first.released, other.released)
    trained = train_extractor(CONFIG, sanitiser(), inputs(200), channel=PNG, seed=0)
    assert all(
        torch.equal(a, b) for a, b in zip(trained.state_dict().values(), extractor().state_dict().values(), strict=True)
    )
    assert torch.equal(state, torch.get_rng_state())


def test_embed_releases_what_choose_chose() -> None:
    target, bits = secrets(40)
    released = embed(
        sanitiser(), inputs(40, 4), target, bits,
        extractor=extractor(), key=KEY, channel=PNG, config=CONFIG, random=np.random.default_rng(3),
    )  # fmt: skip
    assert torch.equal(released, hide(40)[0].released)


def test_what_is_released_is_what_the_sanitiser_makes_of_the_noise() -> None:
    found, _ = hide(40)
    generator, target = sanitiser(), secrets(40)[0]
    mean, log_variance = moments(generator, inputs(40, 4))
    with torch.no_grad():
        remade = generator.decode(mean + found.noise * torch.exp(0.5 * log_variance), target)
    assert (
        ((remade + 1) * 127.5).round() - found.released
    ).abs().max() <= 1  # the batches differ, and so may a rounding


@pytest.mark.slow
def test_the_noise_of_accepted_draws_is_standard_normal_and_with_a_margin_it_is_not() -> None:
    basis = extractor().basis
    honest = (hide(1000)[0].noise @ basis).numpy()
    values = [kstest(honest[:, direction], "norm").pvalue for direction in range(honest.shape[1])]
    assert min(values) > 0.001 / len(values)
    margin = (hide(300, replace(CONFIG, margin=0.5, draws=200))[0].noise @ basis).numpy()
    values = [kstest(margin[:, direction], "norm").pvalue for direction in range(CONFIG.hash_bits)]
    assert min(values) < 1e-4


def test_readings_keep_the_margin_wherever_a_draw_was_found() -> None:
    found, _ = hide(100, replace(CONFIG, margin=0.3, draws=200))
    values = extractor().read(found.released).abs().amin(1)
    assert found.found.float().mean() > 0.9
    assert float(values[found.found].min()) >= 0.3 - 1e-4


def test_exhausted_draws_release_the_best_that_was_seen() -> None:
    found, bits = hide(200, replace(CONFIG, draws=2))
    read = extract(extractor(), found.released, BITS, KEY) > 0.5
    right = (read == (bits == 1)).all(1)
    assert np.array_equal(right, found.found.numpy())
    low, high = binom.interval(0.999, 200, 1 - 0.75**2)
    assert low <= right.sum() <= high
    assert set(found.draws.tolist()) == {1, 2}
    # a margin that no draw keeps: the secret is in it all the same
    impossible, bits = hide(100, replace(CONFIG, margin=50.0))
    assert not impossible.found.any()
    assert ((extract(extractor(), impossible.released, BITS, KEY) > 0.5) == (bits == 1)).mean() > 0.99


@pytest.mark.slow
def test_through_noise_a_margin_is_more_robust_and_probabilities_say_how_sure_they_are() -> None:
    found, bits = hide(300, channel=NOISE)
    received = NOISE.apply(found.released, np.random.default_rng(9))
    probabilities = extract(extractor("noise8"), received, BITS, KEY)
    right = (probabilities > 0.5) == (bits == 1)
    sure = np.abs(probabilities - 0.5) > 0.4
    assert right.mean() > 0.7
    assert right[sure].mean() > right[~sure].mean() + 0.1
    kept, bits = hide(300, replace(CONFIG, margin=0.3, draws=100), NOISE)
    received = NOISE.apply(kept.released, np.random.default_rng(9))
    assert ((extract(extractor("noise8"), received, BITS, KEY) > 0.5) == (bits == 1)).mean() > right.mean() + 0.02


@pytest.mark.parametrize("hash_bits", [3, 8, 16, 20])
def test_all_symbols_are_equally_frequent_under_the_hash(hash_bits: int) -> None:
    patterns = np.arange(2**hash_bits) if hash_bits <= 16 else np.random.default_rng(0).integers(0, 2**20, 40_000)
    counts = np.bincount(hash_symbols(patterns, hash_bits, 8, KEY), minlength=8)
    if hash_bits <= 16:
        assert set(counts) == {2 ** (hash_bits - 3)}
    else:
        low, high = binom.interval(0.9999, len(patterns), 1 / 8)
        assert low <= counts.min()
        assert counts.max() <= high
    assert not np.array_equal(
        hash_symbols(patterns, hash_bits, 8, KEY), hash_symbols(patterns, hash_bits, 8, WRONG_KEY)
    )


def test_an_extractor_from_its_file_reads_the_same(tmp_path: Path) -> None:
    save(tmp_path / "extractor.safetensors", Saved(extractor().state_dict(), {}))
    again = NoiseExtractor(latent=12, size=16, width=CONFIG.width, hash_bits=CONFIG.hash_bits).eval()
    again.load_state_dict(dict(load(tmp_path / "extractor.safetensors").tensors))
    images = hide(50)[0].released
    assert torch.allclose(again.read(images), extractor().read(images), atol=1e-4)
    assert torch.equal(again.repeatability, extractor().repeatability)


def test_the_directions_are_orthonormal_and_their_signs_are_fair() -> None:
    reader = extractor()
    assert torch.allclose(reader.basis.T @ reader.basis, torch.eye(12), atol=1e-5)
    random = numpy_generator(0, "fresh")
    mean, log_variance = moments(sanitiser(), inputs(1000, 5))
    _, images = draw(sanitiser(), mean, log_variance, torch.zeros(1000, dtype=torch.int64) + 1, random)
    values = reader.read(images)
    assert values.shape == (1000, 6)
    assert values.dtype == torch.float32
    assert ((values > 0).float().mean(0) - 0.5).abs().max() < 0.1
    assert (values.std(0) - 1).abs().max() < 0.15


def test_capacity_is_what_a_gaussian_channel_of_known_noise_carries() -> None:
    """An extractor that knows two of the noise's values up to an error of variance 0.25, by construction."""
    generator = sanitiser()

    class Oracle(NoiseExtractor):
        """Estimates the last noise drawn: two values with known error, ten not at all."""

        def estimate(self, received: Tensor) -> Tensor:
            random = numpy_generator(0, "capacity")
            random.integers(0, PEOPLE, len(received))
            noise = torch.from_numpy(random.standard_normal((len(received), 12), dtype=np.float32))
            error = torch.from_numpy(np.random.default_rng(1).standard_normal(noise.shape, dtype=np.float32))
            known = 0.75 * noise + np.sqrt(0.75 * 0.25) * error  # the best estimate: the rest of the variance is 0.25
            return torch.where(torch.arange(12) < 2, known, torch.zeros(()))

    oracle = Oracle(latent=12, size=16, width=8, hash_bits=4)
    found = capacity_bits(oracle, generator, inputs(2000), channel=PNG, random=numpy_generator(0, "capacity"))
    assert found.value == pytest.approx(2 * 0.5 * np.log2(4), abs=0.15)
    assert found.low <= 2.0 <= found.high
    assert 0.05 < found.high - found.low < 0.5


def test_a_coarser_channel_leaves_less_capacity() -> None:
    def bits(channel: str) -> float:
        found = capacity_bits(
            extractor(channel),
            sanitiser(),
            inputs(500, 7),
            channel=Channel.parse(channel),
            random=np.random.default_rng(0),
        )
        return found.value

    assert bits("png") > 1.3 * bits("noise60") > 0


def test_settings_and_secrets_that_cannot_work_are_named() -> None:
    assert SampledConfig().problems() == []
    wrong = SampledConfig(hash_bits=0, draws=0, margin=-1.0, steps=0, width=1, batch_size=1, learning_rate=2.0)
    assert [line.split("=")[0] for line in wrong.problems()] == [
        f"subversion.sampled.{name}"
        for name in ("hash_bits", "draws", "steps", "width", "batch_size", "margin", "learning_rate")
    ]
    assert "from 1 to 12" in SampledConfig(hash_bits=13).problems(latent=12)[0]
    assert "from 3 to 32" in SampledConfig(hash_bits=2).problems(bits=3)[0]
    with pytest.raises(ValueError, match="hash_bits=13: must be a whole number from 1 to 12"):
        train_extractor(replace(CONFIG, hash_bits=13), sanitiser(), inputs(10), channel=PNG, seed=0)
    with pytest.raises(ValueError, match="hash_bits=6: 7 bits a secret"):
        extract(extractor(), inputs(2), 7, KEY)


@pytest.mark.slow
def test_a_steganalyser_is_at_chance_on_accepted_draws() -> None:
    covers, stego = [], []
    for seed, n in enumerate((1500, 500, 500)):
        random = np.random.default_rng([7, seed])
        target, bits = torch.from_numpy(random.integers(0, PEOPLE, n)), random.integers(0, 2, (n, BITS), dtype=np.uint8)
        images = inputs(n, 20 + seed)
        covers.append(draw(sanitiser(), *moments(sanitiser(), images), target, random)[1])
        found = choose(
            sanitiser(), images, target, bits,
            extractor=extractor(), key=KEY, channel=PNG, config=CONFIG, random=random,
        )  # fmt: skip
        stego.append(found.released)
    fit = {"steps": 300, "batch_size": 64, "width": 8, "evaluate_every": 100, "interim_images": 250}
    config = CheckConfig.from_mapping({"fits": {"steganalyser": fit}})
    area = detect("high_pass", Release(*covers), Release(*stego), config, seed=0, device="cpu").auc
    assert area.low <= 0.5 <= area.high
