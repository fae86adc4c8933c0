"""The cache: once for equal settings, again for others, by one process at a time."""

import multiprocessing
import time
from pathlib import Path

import pytest
import torch

from models.checkpoints import Saved, cached, load, save, with_prefix


def make_entry(path: Path) -> Saved:
    with (path / "made").open("a") as made:
        made.write("x")
    time.sleep(0.3)
    return Saved({"weights": torch.arange(3.0)}, {"loss": 0.5})


def ask(path: str) -> None:
    folder = Path(path)
    cached(folder, "kind", {"a": 1}, lambda: make_entry(folder))


def test_what_is_saved_is_loaded_again(tmp_path: Path) -> None:
    saved = Saved(with_prefix("net", {"weight": torch.ones(2, 2)}), {"settings": {"a": [1, 2]}})
    save(tmp_path / "entry.safetensors", saved)
    loaded = load(tmp_path / "entry.safetensors")
    assert torch.equal(loaded.part("net")["weight"], torch.ones(2, 2))
    assert loaded.note == saved.note


def test_equal_settings_are_computed_once_and_other_settings_anew(tmp_path: Path) -> None:
    calls = []

    def make() -> Saved:
        calls.append(1)
        return Saved({"x": torch.zeros(1)}, {})

    cached(tmp_path, "kind", {"a": 1}, make)
    cached(tmp_path, "kind", {"a": 1}, make)
    assert len(calls) == 1
    cached(tmp_path, "kind", {"a": 2}, make)
    cached(tmp_path, "other kind", {"a": 1}, make)
    assert len(calls) == 3


def test_two_processes_that_ask_at_once_compute_once(tmp_path: Path) -> None:
    context = multiprocessing.get_context("fork")
    workers = [context.Process(target=ask, args=(str(tmp_path),)) for _ in range(3)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    assert [worker.exitcode for worker in workers] == [0, 0, 0]
    assert (tmp_path / "made").read_text() == "x"


def test_what_is_not_fit_to_be_kept_serves_once(tmp_path: Path) -> None:
    saved = cached(tmp_path, "kind", {"a": 1}, lambda: Saved({}, {"read": float("nan")}), keep=lambda saved: False)
    assert saved.note["read"] != saved.note["read"]  # NaN
    assert not list(tmp_path.rglob("*.safetensors"))


def test_a_failed_computation_leaves_nothing_behind(tmp_path: Path) -> None:
    def fail() -> Saved:
        raise FloatingPointError("diverged")

    with pytest.raises(FloatingPointError):
        cached(tmp_path, "kind", {"a": 1}, fail)
    assert not list(tmp_path.rglob("*.safetensors"))
    assert cached(tmp_path, "kind", {"a": 1}, lambda: Saved({"x": torch.ones(1)}, {})).tensors["x"].item() == 1.0
