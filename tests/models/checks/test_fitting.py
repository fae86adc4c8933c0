from dataclasses import replace

import pytest
import torch

from models.checks.config import PLATEAU, FitConfig
from models.checks.fitting import _batches, fit_classifier, fit_steganalyser, predict_logits, train_classifier

SMALL = FitConfig(steps=30, batch_size=32, width=4, evaluate_every=10, interim_images=40)


def _noise(n, seed):
    return torch.randint(0, 256, (n, 3, 16, 16), generator=torch.Generator().manual_seed(seed), dtype=torch.uint8)


def _bright_or_dark(n, seed):
    labels = torch.arange(n) % 2
    return (_noise(n, seed) // 2 + 120 * labels[:, None, None, None]).to(torch.uint8), labels


def _fit(seed=0, config=SMALL, name="plain"):
    x, y = _bright_or_dark(120, 1)
    return fit_classifier(name, x[:80], y[:80], x[80:], y[80:], classes=2, config=config, seed=seed, device="cpu")


@pytest.mark.parametrize("name", ["plain", "high_pass"])
def test_a_classifier_reads_an_easy_label_from_unseen_images(name):
    x, y = _bright_or_dark(100, 2)
    if name == "high_pass":  # brightness is invisible to it; contrast is not
        x = (100 + (x % 8) * (1 + 3 * y[:, None, None, None])).to(torch.uint8)
    config = replace(SMALL, steps=60)
    network = fit_classifier(name, x[:60], y[:60], x[60:80], y[60:80], classes=2, config=config, seed=0, device="cpu")
    assert (predict_logits(network, x[80:]).argmax(1) == y[80:]).float().mean() == 1


def test_the_same_seed_gives_the_same_network_and_another_seed_another():
    x, _ = _bright_or_dark(10, 3)
    first = predict_logits(_fit(seed=4), x)
    assert torch.equal(first, predict_logits(_fit(seed=4), x))
    assert not torch.equal(first, predict_logits(_fit(seed=5), x))


def test_the_global_random_state_neither_matters_nor_moves():
    torch.manual_seed(1)
    before = torch.get_rng_state()
    x, _ = _bright_or_dark(10, 3)
    first = predict_logits(_fit(), x)
    assert torch.equal(torch.get_rng_state(), before)
    torch.manual_seed(2)
    assert torch.equal(first, predict_logits(_fit(), x))


def test_training_ends_early_only_once_nothing_is_left_to_learn(monkeypatch):
    steps = []
    step = torch.optim.AdamW.step
    monkeypatch.setattr(torch.optim.AdamW, "step", lambda self, *a, **k: steps.append(1) or step(self, *a, **k))
    _fit(config=replace(SMALL, steps=400))
    assert len(steps) < 400  # solved: every validation image right and the train images fitted
    steps.clear()
    x, y = _noise(60, 5), torch.arange(60) % 2
    flat = replace(SMALL, steps=60, learning_rate=1e-6, patience=1)
    fit_classifier("plain", x[:40], y[:40], x[40:], y[40:], classes=2, config=flat, seed=0, device="cpu")
    assert len(steps) == 60  # a flat validation curve alone does not end it


def test_each_epoch_shows_every_image_once_and_small_sets_make_one_batch():
    batches = _batches(10, 5, seed=0)
    assert sorted(torch.cat([next(batches), next(batches)]).tolist()) == list(range(10))
    assert sorted(next(_batches(3, 128, seed=0)).tolist()) == [0, 1, 2]


def test_the_steganalyser_finds_changes_of_one_grey_level_in_smooth_images():
    ramp = torch.arange(16, dtype=torch.uint8) * 3
    offsets = torch.arange(150, dtype=torch.uint8)[:, None, None, None]
    covers = (ramp[None, None, None] + ramp[:, None] + offsets).expand(150, 3, 16, 16).contiguous()
    stego = covers ^ (_noise(150, 6) & 1)
    config = replace(SMALL, steps=40)
    network, _, _ = fit_steganalyser(
        covers[:90], stego[:90], covers[90:120], stego[90:120], config=config, seed=0, device="cpu"
    )
    below, above = predict_logits(network, covers[120:]), predict_logits(network, stego[120:])
    assert float(below.max()) < float(above.min())


def test_a_diverging_training_says_so():
    x, y = _bright_or_dark(60, 7)
    wild = replace(SMALL, learning_rate=0.999, weight_decay=1e30)
    with pytest.raises(FloatingPointError, match="adversary plain"):
        fit_classifier("plain", x[:40], y[:40], x[40:], y[40:], classes=2, config=wild, seed=0, device="cpu")


def test_images_that_are_not_8_bit_are_refused():
    x, y = _bright_or_dark(40, 8)
    with pytest.raises(ValueError, match=r"uint8.*to_uint8"):
        fit_classifier("plain", x.float(), y, x, y, classes=2, config=SMALL, seed=0, device="cpu")


def test_labels_and_pairs_must_match_their_images():
    x, y = _bright_or_dark(40, 9)
    with pytest.raises(ValueError, match="39 for 40 train images"):
        fit_classifier("plain", x, y[1:], x, y, classes=2, config=SMALL, seed=0, device="cpu")
    with pytest.raises(ValueError, match="every cover needs its stego image"):
        fit_steganalyser(x, x[1:], x, x, config=SMALL, seed=0, device="cpu")


def _train(x, y, config, seed=0):
    half = len(x) // 2
    splits = (x[:half], y[:half], x[half:], y[half:])
    return train_classifier("plain", *splits, classes=2, config=config, seed=seed, device="cpu")


@pytest.mark.parametrize("schedule", ["one_cycle", PLATEAU])
def test_a_training_that_was_cut_short_has_not_converged_and_one_with_nothing_left_to_learn_has(schedule):
    x, y = _bright_or_dark(80, 3)
    config = replace(SMALL, schedule=schedule, steps=200)
    done = _train(x, y, config)
    assert done.converged
    assert done.steps < 200
    cut = _train(x, y, replace(config, steps=2))
    assert not cut.converged
    assert cut.steps == 2


def test_labels_that_cannot_be_learnt_end_at_a_plateau_once_the_train_images_are_known_by_heart():
    x, y = _noise(80, 5), torch.arange(80) % 2
    config = replace(SMALL, width=8, steps=400, schedule=PLATEAU, learning_rate=1e-2)
    assert _train(x, y, config).converged
    slow = replace(config, steps=20)
    assert not _train(x, y, slow).converged


def test_a_training_that_is_still_a_guesser_gets_half_of_its_steps_and_is_then_left_to_the_controls():
    x, y = _noise(40, 6), torch.arange(40) % 2
    flat = replace(SMALL, steps=400, learning_rate=1e-9, schedule=PLATEAU, evaluate_every=5)
    fitted = _train(x, y, flat)
    assert fitted.converged
    assert 200 <= fitted.steps < 300


def test_nothing_is_said_to_have_converged_that_still_gained_at_its_last_look():
    x, y = _bright_or_dark(80, 7)
    config = replace(SMALL, steps=6, evaluate_every=2, learning_rate=1e-3, schedule=PLATEAU, patience=3)
    assert not _train(x, y, config).converged
