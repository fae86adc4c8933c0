"""The experiments there are, by name: the one place that names them in code."""

from __future__ import annotations

from study.evaluation import Experiment

EXPERIMENTS: tuple[str, ...] = ("empty", "subverted_ppgan", "adversarial_representation")


def load_experiment(name: str) -> Experiment:
    """Return the experiment called ``name``; its module is imported only now.

    Raises:
        ValueError: If there is no such experiment; the message lists those there are.
    """
    if name == "empty":
        from study import empty

        return empty.EXPERIMENT
    if name == "subverted_ppgan":
        from study import subverted_ppgan

        return subverted_ppgan.EXPERIMENT
    if name == "adversarial_representation":
        from study import adversarial_representation

        return adversarial_representation.EXPERIMENT
    raise ValueError(f"experiment.name={name!r} is unknown; permitted: {', '.join(EXPERIMENTS)}")
