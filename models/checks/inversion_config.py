"""Settings of the inversion check: how the decoder is trained, and what its control plants."""

from dataclasses import dataclass


@dataclass(frozen=True)
class InversionConfig:
    """A decoder that reconstructs inputs from released images. Budgets are in steps, so that a busy machine does not
    weaken it."""

    steps: int = 1000
    """Most updates, >= 1. A decoder that has not reached its plateau by then gives no measurement."""
    batch_size: int = 32
    """Pairs a step, >= 2."""
    learning_rate: float = 0.004
    """Of Adam, in (0, 1); falls to a fifth at the first plateau, the second ends the training."""
    width: int = 8
    """Channels at the images' size, >= 2; twice and four times as many at half and a quarter of it."""
    evaluate_every: int = 40
    """Updates between two looks at validation pairs, >= 1; the best look is what is judged."""
    interim_images: int = 300
    """Validation pairs of such a look, >= 1."""
    patience: int = 2
    """Looks without a gain that make a plateau, >= 1."""
    tolerance: float = 0.01
    """SSIM by which a look must be better than the last gain to count as one, in (0, 1): creeping adds up."""
    feature_steps: int = 250
    """Updates of the identity classifier in whose features images are compared, >= 1."""
    planted_share: float = 0.2
    """Share of the input in the covers of the control, in (0, 1]."""
    excess: float = 0.05
    """SSIM above the honest baseline that the control must reach, and that honest images must not, in (0, 1): that of
    the bound."""

    def problems(self, where: str) -> list[str]:
        """Return what is wrong, a line each, naming ``where`` and the field, the value and what is permitted."""
        found = []
        least = {"steps": 1, "batch_size": 2, "width": 2, "evaluate_every": 1, "interim_images": 1, "patience": 1}
        for name, lowest in {**least, "feature_steps": 1}.items():
            value = getattr(self, name)
            if not isinstance(value, int) or isinstance(value, bool) or value < lowest:
                found.append(f"{where}.{name} = {value!r}; must be a whole number >= {lowest}")
        for name in ("learning_rate", "tolerance", "planted_share", "excess"):
            value, closed = getattr(self, name), name == "planted_share"
            number = isinstance(value, int | float) and not isinstance(value, bool)
            if not number or not (0 < value < 1 or (closed and value == 1)):
                found.append(f"{where}.{name} = {value!r}; must lie in (0, 1{']' if closed else ')'}")
        return found
