"""Settings of the judges: who is private, public and test, and how hard each judge tries."""

from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from typing import Any

from models.representation.config import inside, whole_numbers

DECODERS = ("small", "large", "perceptual", "noise_free")
"""Judges that are decoders, trained on the public people's latents."""
JUDGES = (*DECODERS, "white_box")
"""All judges. ``white_box`` begins where ``large`` ends."""


@dataclass(frozen=True)
class People:
    """Shares of the people; nobody is in two groups. They sum to 1."""

    private: float = 0.4
    """Encoder and classifier are trained on these, in (0, 1)."""
    public: float = 0.4
    """The adversary, the judges, the embedding and the perceptual network are trained on these, in (0, 1)."""
    test: float = 0.2
    """Everything is measured on these, whom no training saw, in (0, 1)."""

    def problems(self, where: str) -> list[str]:
        """Return what is wrong, a line each."""
        found = []
        for entry in fields(self):
            found += inside(self, where, entry.name, 0, 1, "must lie in (0, 1)")
        if not found and abs(self.private + self.public + self.test - 1) > 0.005:
            found.append(f"{where}private + public + test = {self.private + self.public + self.test:g}; must be 1")
        return found


@dataclass(frozen=True)
class JudgeConfig:
    """How reconstructions are judged. Budgets are in steps, so that a busy machine does not weaken a judge."""

    judges: tuple[str, ...] = JUDGES
    """Who judges, at least one; the strongest counts."""
    people: People = field(default_factory=People)
    steps: int = 2000
    """Most updates of a decoder, >= 1. One that has not reached its plateau by then gives no measurement."""
    batch_size: int = 32
    """Images a step, >= 2."""
    learning_rate: float = 0.003
    """Of Adam, in (0, 1); falls to a fifth at the first plateau, the second ends the training."""
    evaluate_every: int = 60
    """Updates between two looks at public people that the decoder was not trained on, >= 1."""
    patience: int = 2
    """Looks without a gain that make a plateau, >= 1."""
    tolerance: float = 0.005
    """SSIM by which a look must be better than the last gain to count as one, in (0, 1): creeping adds up."""
    white_box_images: int = 128
    """Test images that the white-box judge inverts, >= 2."""
    white_box_steps: int = 400
    """Most updates of the input, >= 20."""
    embedding_steps: int = 500
    """Updates of the identity embedding, >= 1."""
    embedding_auc: float = 0.75
    """AUC, same person against others among the test people's originals, that the embedding must reach to have a vote,
    in (0.5, 1)."""
    perceptual_steps: int = 250
    """Updates of the perceptual network that is trained on public people, >= 1."""

    def problems(self) -> list[str]:
        """Return what is wrong, a line each, naming the field, the value and what is permitted."""
        where = "adversaries."
        found = []
        unknown = [name for name in self.judges if name not in JUDGES]
        if unknown or not self.judges or len(set(self.judges)) < len(self.judges):
            known = ", ".join(JUDGES)
            found.append(f"{where}judges={list(self.judges)}; must name at least one of {known}, each once")
        elif "white_box" in self.judges and "large" not in self.judges:
            found.append(f"{where}judges={list(self.judges)}; 'white_box' begins where 'large' ends: add it")
        least = {"steps": 1, "batch_size": 2, "evaluate_every": 1, "patience": 1, "white_box_images": 2}
        least |= {"white_box_steps": 20, "embedding_steps": 1, "perceptual_steps": 1}
        found += whole_numbers(self, where, least)
        for name in ("learning_rate", "tolerance"):
            found += inside(self, where, name, 0, 1, "must lie in (0, 1)")
        found += inside(self, where, "embedding_auc", 0.5, 1, "must lie in (0.5, 1)")
        return found + self.people.problems(f"{where}people.")

    @classmethod
    def from_mapping(cls, mapping: Mapping[str, Any]) -> "JudgeConfig":
        """Build the settings from the ``adversaries`` part of a configuration; what is left out keeps its default.

        Raises:
            ValueError: If a key is unknown or a value is not permitted; the message has a line for every problem.
        """
        values, found = _known(cls, mapping, "adversaries")
        people = values.pop("people", {})
        if not isinstance(people, Mapping):
            found.append(f"adversaries.people={people!r}; must be a group of private, public and test")
            people = {}
        shares, unknown = _known(People, people, "adversaries.people")
        judges = values.pop("judges", JUDGES)
        judges = (judges,) if isinstance(judges, str) or not hasattr(judges, "__iter__") else tuple(judges)
        config = cls(people=People(**shares), judges=judges, **values)
        found += unknown + config.problems()
        if found:
            raise ValueError("\n".join(found))
        return config


def _known(kind: type, mapping: Mapping[str, Any], where: str) -> tuple[dict[str, Any], list[str]]:
    names = [entry.name for entry in fields(kind)]
    unknown = [f"{where}.{name}: unknown; known are {', '.join(names)}" for name in mapping if name not in names]
    return {name: value for name, value in mapping.items() if name in names}, unknown
