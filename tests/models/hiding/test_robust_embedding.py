"""The keyed family in every setting: what goes in comes out, within the strength, through what it is made for."""

import io
from dataclasses import replace
from itertools import product

import numpy as np
import pytest
from PIL import Image
from scipy.ndimage import gaussian_filter
from scipy.stats import binom

from models.hiding import keyed, textured
from models.hiding.domains import BlockDCT, Domain, PixelResiduals, Pixels
from models.hiding.key import Key
from models.hiding.keyed_config import KeyedConfig
from models.hiding.robust import capacity, capacity_problem, embed, extract

KEY, WRONG_KEY = Key.from_seed(1), Key.from_seed(2)
LOSSLESS = [
    KeyedConfig(modulation, domain, code=code)
    for modulation, domain, code in product(
        ("lowest_bits", "index"), ("pixels", "dct"), ("none", "reed_muller", "ldpc_1_2", "ldpc_3_4")
    )
    if (modulation, domain) != ("lowest_bits", "dct")
]
DCT = KeyedConfig("index", "dct", code="reed_muller", nonce_bits=16)


def covers(n: int = 60, size: int = 32, seed: int = 0) -> np.ndarray:
    """Smooth colours with texture, well inside 0 to 255, as sanitised faces are."""
    random = np.random.default_rng(seed)
    smooth = gaussian_filter(random.normal(size=(n, 3, size, size)), (0, 0, 5, 5)) * 400
    return np.clip(128 + smooth + random.normal(0, 3, smooth.shape), 30, 225).astype(np.uint8)


def payload(n: int, count: int) -> np.ndarray:
    return np.random.default_rng(1).integers(0, 2, (n, count), dtype=np.uint8)


def hide(images: np.ndarray, bits: np.ndarray, strength: int, config: KeyedConfig, seed: int = 3) -> np.ndarray:
    return embed(images, bits, key=KEY, strength=strength, config=config, random=np.random.default_rng(seed))


def errors(received: np.ndarray, bits: np.ndarray, strength: int, config: KeyedConfig, key: Key = KEY) -> float:
    probabilities = extract(received, bits.shape[1], key=key, strength=strength, config=config)
    assert probabilities.dtype == np.float32
    assert probabilities.min() >= 0
    assert probabilities.max() <= 1
    return float(((probabilities > 0.5) != bits).mean())


def noise(images: np.ndarray, sigma: float) -> np.ndarray:
    noisy = images + np.random.default_rng(9).normal(0, sigma, images.shape)
    return np.clip(np.rint(noisy), 0, 255).astype(np.uint8)


def jpeg(images: np.ndarray, quality: int) -> np.ndarray:
    received = []
    for image in images.transpose(0, 2, 3, 1):
        file = io.BytesIO()
        Image.fromarray(image).save(file, "JPEG", quality=quality)
        received.append(np.asarray(Image.open(file)))
    return np.stack(received).transpose(0, 3, 1, 2)


@pytest.mark.parametrize("config", LOSSLESS, ids=str)
def test_the_bits_come_back_without_a_channel(config: KeyedConfig) -> None:
    config, bits = replace(config, nonce_bits=16), payload(60, 96)
    # In a few images of this many DCT carriers the pixels' bound keeps one from its target.
    assert errors(hide(covers(), bits, 4, config), bits, 4, config) <= (1e-3 if config.domain == "dct" else 0)


@pytest.mark.parametrize("domain", ["pixels", "dct"])
def test_spread_spectrum_carries_a_few_bits_without_a_channel(domain: str) -> None:
    config, bits = KeyedConfig("spread_spectrum", domain, code="reed_muller", nonce_bits=8), payload(60, 8)
    assert errors(hide(covers(), bits, 8, config), bits, 8, config) < 0.02


@pytest.mark.parametrize(
    ("config", "strength"),
    list(
        product(
            [KeyedConfig("index"), KeyedConfig("spread_spectrum"), DCT, replace(DCT, modulation="spread_spectrum")],
            [1, 3, 8, 64],
        )
    ),
    ids=str,
)
def test_no_value_changes_by_more_than_the_strength_up_to_black_and_white(config: KeyedConfig, strength: int) -> None:
    images = np.random.default_rng(0).integers(0, 256, (20, 3, 32, 32), dtype=np.uint8)
    images[:4], images[4:8] = 0, 255
    change = hide(images, payload(20, 16), strength, config).astype(int) - images
    assert 0 < np.abs(change).max() <= strength


@pytest.mark.parametrize("config", [KeyedConfig(), KeyedConfig("index"), KeyedConfig("spread_spectrum"), DCT], ids=str)
def test_strength_0_releases_the_cover_bit_for_bit(config: KeyedConfig) -> None:
    images = covers(5)
    assert np.array_equal(hide(images, payload(5, 16), 0, config), images)


@pytest.mark.parametrize("config", [KeyedConfig("index"), KeyedConfig("spread_spectrum"), DCT], ids=str)
def test_with_a_wrong_key_the_bits_are_those_of_a_coin(config: KeyedConfig) -> None:
    bits = payload(100, 16)
    # The bits of a Reed-Muller block are decided together, so an image counts once for every 8 bits.
    low, high = binom.interval(0.999, bits.size // 8, 0.5)
    wrong = errors(hide(covers(100), bits, 4, config), bits, 4, config, WRONG_KEY)
    assert low <= wrong * bits.size / 8 <= high


@pytest.mark.parametrize(
    ("config", "strength", "count"),
    [(KeyedConfig("index", code="none"), 4, 64), (KeyedConfig("index", code="ldpc_1_2"), 8, 1280), (DCT, 2, 16)],
    ids=str,
)
def test_index_modulation_survives_noise(config: KeyedConfig, strength: int, count: int) -> None:
    bits = payload(100, count)
    assert errors(noise(hide(covers(100), bits, strength, config), 1.0), bits, strength, config) < 2e-3


@pytest.mark.parametrize(("quality", "strength"), [(95, 2), (90, 3), (75, 5)])
def test_index_modulation_of_dct_coefficients_survives_jpeg(quality: int, strength: int) -> None:
    bits = payload(100, 16)
    assert errors(jpeg(hide(covers(100), bits, strength, DCT), quality), bits, strength, DCT) < 1e-2


@pytest.mark.parametrize("placement", ["uniform", "textured"])
def test_lowest_bits_are_lost_in_jpeg(placement: str) -> None:
    config, bits = KeyedConfig(placement=placement), payload(100, 256)
    assert errors(jpeg(hide(covers(100), bits, 1, config), 75), bits, 1, config) == pytest.approx(0.5, abs=0.02)


def test_a_code_repairs_what_repetition_loses() -> None:
    bits = payload(100, 16)
    wrong = []
    for code in ("none", "reed_muller"):
        config = replace(DCT, code=code, carrier_share=0.5)
        wrong.append(errors(noise(hide(covers(100), bits, 2, config), 6.0), bits, 2, config))
    assert wrong[1] < wrong[0]


def test_probabilities_of_a_lost_image_are_less_certain_than_of_a_read_one() -> None:
    bits = payload(60, 64)
    config = KeyedConfig("index", nonce_bits=8)
    stego = hide(covers(), bits, 4, config)
    certainty = [
        np.abs(extract(received, 64, key=KEY, strength=4, config=config) - 0.5).mean()
        for received in (stego, noise(stego, 2), noise(stego, 12))
    ]
    assert certainty[0] > certainty[1] > certainty[2]


def test_the_nonce_makes_each_embedding_of_one_secret_in_one_cover_a_coin_everywhere() -> None:
    images, bits = np.repeat(covers(1), 400, axis=0), np.repeat(payload(1, 16), 400, axis=0)
    config = KeyedConfig("index", nonce_bits=64)
    odd = hide(images, bits, 1, config) & 1  # at strength 1 the lowest bit with its dither is the carrier's bit
    low, high = binom.interval(1 - 1e-6, 400, 0.5)
    counts = odd.reshape(400, -1).sum(0)
    assert low <= counts.min()
    assert counts.max() <= high


def test_a_short_nonce_repeats_and_a_long_one_does_not() -> None:
    images, bits = np.repeat(covers(1), 300, axis=0), np.repeat(payload(1, 16), 300, axis=0)
    short, long = (len(np.unique(hide(images, bits, 2, replace(DCT, nonce_bits=n)), axis=0)) for n in (8, 64))
    assert short <= 256
    assert long == 300


@pytest.mark.parametrize(
    "config", [*LOSSLESS, KeyedConfig(carrier_share=0.5), replace(DCT, carrier_share=0.3)], ids=str
)
def test_the_whole_capacity_can_be_used_and_not_one_bit_more(config: KeyedConfig) -> None:
    limit = capacity(32, 4, config)
    bits = payload(4, limit)
    assert capacity_problem(limit, 32, 4, config) is None
    assert errors(hide(covers(4), bits, 4, config), bits, 4, config) < 0.05
    with pytest.raises(
        ValueError, match=f"{limit + 1} payload bits do not fit into the {limit} that an image of 32 x 32"
    ):
        hide(covers(4), payload(4, limit + 1), 4, config)


def test_a_capacity_problem_names_the_ways_out() -> None:
    problem = capacity_problem(5000, 32, 4, replace(DCT, carrier_share=0.5))
    assert problem is not None
    for way in ("raise data.size", "carrier_share", "code=none", "domain=pixels"):
        assert way in problem
    assert capacity_problem(5000, 32, 0, DCT) is None


@pytest.mark.parametrize("strength", [1, 2, 4])
def test_textured_placement_changes_no_more_values_and_those_in_texture(strength: int) -> None:
    images, bits = covers(), payload(60, 300)
    uniform, placed = KeyedConfig(), KeyedConfig(placement="textured")
    stego = hide(images, bits, strength, placed)
    assert errors(stego, bits, strength, placed) == 0
    changed, reference = stego != images, hide(images, bits, strength, uniform) != images
    assert changed.sum() < 1.02 * reference.sum()
    costs = textured.costs(images)
    assert costs[changed].mean() < 0.9 * costs[reference].mean()


def test_textured_placement_reads_back_from_black_and_white_at_strength_1() -> None:
    config, bits = KeyedConfig(placement="textured"), payload(4, 500)
    for level in (0, 255):
        images = np.full((4, 3, 32, 32), level, dtype=np.uint8)
        assert errors(hide(images, bits, 1, config), bits, 1, config) == 0


@pytest.mark.parametrize("domain", [Pixels(16), BlockDCT(16)])
def test_a_synthesised_change_moves_the_carriers_by_as_much(domain: Domain) -> None:
    change = np.random.default_rng(0).normal(size=(3, len(domain.bands))).astype(np.float32)
    images = covers(3, 16).astype(np.float32)
    moved = domain.analyse(images + domain.synthesise(change)) - domain.analyse(images)
    assert np.allclose(moved, change, atol=1e-3)


def test_residuals_are_blind_to_what_neighbours_share() -> None:
    flat = np.full((1, 3, 16, 16), 77, dtype=np.float32)
    assert np.allclose(PixelResiduals(16).analyse(flat), 0)


def test_rounding_keeps_the_luma_better_than_rounding_each_colour() -> None:
    domain = BlockDCT(16)
    change = np.repeat(np.random.default_rng(0).uniform(-3, 3, (5, 1, 16, 16)), 3, axis=1)
    luma = np.array([0.299, 0.587, 0.114])
    mine, plain = (
        np.abs(np.tensordot(x - change, luma, (1, 0))).mean() for x in (domain.round(change), np.rint(change))
    )
    assert mine < plain / 3
    assert np.abs(domain.round(change) - change).max() < 1


def test_the_settings_say_what_is_wrong_with_them() -> None:
    assert KeyedConfig().problems() == []
    wrong = KeyedConfig("fm", "wavelet", 0.0, "turbo", "random", 7)
    assert len(wrong.problems()) == 6
    assert all(line.startswith("subversion.keyed.") for line in wrong.problems())
    assert "lowest bits" in KeyedConfig(domain="dct").problems()[0]
    assert "uniform" in KeyedConfig("index", placement="textured").problems()[0]


def test_lowest_bits_are_those_of_the_plain_embedding() -> None:
    images, bits = covers(), payload(60, 64)
    plain = keyed.embed(images, bits, key=KEY, strength=1, random=np.random.default_rng(3))
    assert np.array_equal(hide(images, bits, 1, KeyedConfig()), plain)
