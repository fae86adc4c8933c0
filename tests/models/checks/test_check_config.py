from pathlib import Path

import pytest
import yaml

from models.checks.config import PLATEAU, CheckConfig, FitConfig
from study.bounds import parse_bound
from study.evaluation import metrics_of
from study.objective import known_metrics
from study.subverted_ppgan import EXPERIMENT

CHECKS = Path(__file__).parents[3] / "search_spaces" / "checks"
FILES = ("default", "smoke", "thorough")


def test_nothing_given_means_the_defaults_and_the_default_file_says_the_same():
    assert CheckConfig.from_mapping({}) == CheckConfig()
    written = yaml.safe_load((CHECKS / "default.yaml").read_text())
    assert CheckConfig.from_mapping(written["adversaries"]) == CheckConfig()


@pytest.mark.parametrize("path", [CHECKS / f"{name}.yaml" for name in FILES], ids=FILES)
def test_the_files_of_the_battery_open_with_their_command_and_are_valid(path):
    text = path.read_text()
    assert text.splitlines()[0] == f"# python -m study checks={path.stem}"
    written = yaml.safe_load(text)
    CheckConfig.from_mapping(written["adversaries"])
    assert set(written["bounds"]) >= {"weak_identity", "strong_identity", "expression_utility", "steganalysis"}
    assert all(set(bound) == {"bound", "scale"} for bound in written["bounds"].values())


def test_what_is_given_replaces_one_field_and_keeps_the_rest():
    config = CheckConfig.from_mapping({"fits": {"plain": {"steps": 7}}, "precision": "float32"})
    assert config.fits["plain"] == FitConfig(steps=7, precision="float32")
    assert config.fits["bit_plane"].learning_rate == CheckConfig().fits["bit_plane"].learning_rate


def test_all_problems_are_reported_at_once():
    wrong = {
        "strong": ["plain", "psychic"],
        "honest_seeds": 1,
        "informed": ["bit_planes"],
        "paired": ["ensemble"],
        "latent": ["linear", "linear"],
        "require_convergence": "yes",
        "fits": {"plain": {"steps": 0, "stepz": 3, "schedule": "cosine", "seeds": 0}, "linear": {}},
        "controls": {"noise_rate": 2, "levels": 64},
        "precision": "int4",
        "colour": "red",
        "steganalysers": ["spam", "palmistry"],
    }
    with pytest.raises(ValueError, match="adversaries") as caught:
        CheckConfig.from_mapping(wrong)
    message = str(caught.value)
    for text in (
        "adversaries.strong = ['plain', 'psychic']; must name at least one of plain, high_pass, bit_plane",
        "adversaries.informed = ['bit_planes']; must name any of linear_pixels",
        "adversaries.paired = ['ensemble']; must name any of",
        "adversaries.latent = ['linear', 'linear']",
        "adversaries.require_convergence = 'yes'; must be true or false",
        "adversaries.fits.plain.schedule = 'cosine'; must be one of one_cycle, plateau",
        "adversaries.fits.plain.seeds = 0; must be a whole number >= 1",
        "adversaries.controls.levels = 64; must lie in (0, 32]",
        "adversaries.honest_seeds = 1; must be a whole number >= 2",
        "adversaries.fits.plain.steps = 0; must be a whole number >= 1",
        "adversaries.fits.plain.stepz: unknown; known are steps",
        "adversaries.fits.linear: unknown",
        "adversaries.controls.noise_rate = 2; must lie in (0, 1]",
        "adversaries.fits.plain.precision = 'int4'",
        "adversaries.colour: unknown",
        "adversaries.steganalysers = ['spam', 'palmistry']; must name at least one of high_pass, positions, srnet, ",
    ):
        assert text in message


@pytest.mark.parametrize("rates", [[0.5], [0], [0.1, "little"], 0.7])
def test_fainter_rates_must_be_fainter_than_the_gate(rates):
    with pytest.raises(ValueError, match=r"fainter_rates = .*above 0 and below noise_rate = 0.5"):
        CheckConfig.from_mapping({"controls": {"fainter_rates": rates}})
    assert CheckConfig.from_mapping({"controls": {"fainter_rates": []}}).controls.fainter_rates == ()


@pytest.mark.parametrize("value", [None, "plain", 3])
def test_a_section_that_is_no_mapping_is_named(value):
    with pytest.raises(ValueError, match=r"adversaries\.fits = .*must be a mapping"):
        CheckConfig.from_mapping({"fits": value})


def test_the_thorough_battery_has_every_threat_model_and_lets_nobody_pass_who_is_still_learning():
    written = yaml.safe_load((CHECKS / "thorough.yaml").read_text())
    config = CheckConfig.from_mapping(written["adversaries"])
    assert config.require_convergence
    assert config.honest_seeds >= 3
    assert config.informed
    assert config.paired
    assert config.latent
    trained = [config.fits[name] for name in config.strong if name in config.fits]
    assert {fit.schedule for fit in trained} == {PLATEAU}
    known = known_metrics(metrics_of(EXPERIMENT, {}, written["adversaries"]))
    for name, bound in written["bounds"].items():
        assert parse_bound(name, bound["bound"], bound["scale"]).metric in known
    assert "informed_identity_accuracy" not in metrics_of(EXPERIMENT, {}, {})
