"""Settings of the PP-GAN (stage one of a trial)."""

from dataclasses import dataclass, fields

RECIPES = ("anchored", "paper")
CRITICS = ("three_headed", "patch", "spectral_hinge", "residual", "multi_scale")


@dataclass(frozen=True)
class PPGANConfig:
    """Settings of one PP-GAN; trials whose settings are equal share one trained PP-GAN.

    The weights of the critic's terms are those that PPRL-VGAN (Chen, Konrad, Ishwar 2018) used on FERG.
    """

    recipe: str = "anchored"
    """``paper``: the published losses alone. ``anchored``: half of each batch is reconstructed, and identity
    adversaries on the latent code and on the image take the identity out; for faces to appear in a short training."""
    critic: str = "three_headed"
    """Type of the GAN's discriminator: ``three_headed`` (as published), ``patch``, ``spectral_hinge``, ``residual`` or
    ``multi_scale``."""
    width: int = 32
    """Channels of the first convolution, >= 4; later ones are multiples."""
    latent: int = 128
    """Size of the latent code, >= 1."""
    steps: int = 520
    """Generator updates, >= 1."""
    batch_size: int = 64
    """Images a step, >= 2."""
    learning_rate: float = 1e-3
    """Adam's in ``anchored``, RMSprop's in ``paper`` (published: 3e-4); between 0 and 1."""
    kl_weight: float = 0.02
    """Weight of the KL divergence of the latent code in nats, summed over the code, >= 0. Published: 0.002;
    whether of a sum or of a mean is not verified here."""
    adversarial_weight: float = 0.108
    """Weight of the real/synthetic term in the generator's loss, >= 0."""
    identity_weight: float = 0.6
    """Weight of the critic's identity term (the target identity) in the generator's loss, >= 0."""
    expression_weight: float = 0.29
    """Weight of the critic's expression term in the generator's loss, >= 0."""
    concealment_weight: float = 1.0
    """``anchored`` only: weight of the identity adversaries on the latent code and on the image, >= 0."""
    anchor_weight: float = 1.0
    """``anchored`` only: weight of the reconstruction of the images that keep their identity, >= 0."""
    code_expression_weight: float = 1.0
    """``anchored`` only: weight of reading the expression from the latent code, >= 0."""
    critic_adversarial_weight: float = 0.25
    """Weight of the real/synthetic term in the critic's loss, >= 0."""
    critic_identity_weight: float = 0.5
    """Weight of the identity term in the critic's loss, >= 0."""
    critic_expression_weight: float = 0.25
    """Weight of the expression term in the critic's loss, >= 0."""

    def problems(self) -> list[str]:
        """Return what is wrong with the settings, a line each, naming the field, the value and what is permitted."""
        found = []
        for name, permitted in (("recipe", RECIPES), ("critic", CRITICS)):
            if getattr(self, name) not in permitted:
                found.append(f"stage_one.{name}={getattr(self, name)!r}: must be one of {', '.join(permitted)}")
        for name, least in (("width", 4), ("latent", 1), ("steps", 1), ("batch_size", 2)):
            value = getattr(self, name)
            if not isinstance(value, int) or value < least:
                found.append(f"stage_one.{name}={value!r}: must be a whole number of at least {least}")
        rate = self.learning_rate
        if not isinstance(rate, int | float) or not 0 < rate < 1:
            found.append(f"stage_one.learning_rate={rate!r}: must be between 0 and 1")
        for field in fields(self):
            value = getattr(self, field.name)
            if field.name.endswith("_weight") and not (isinstance(value, int | float) and 0 <= value < float("inf")):
                found.append(f"stage_one.{field.name}={value!r}: must be a finite number of at least 0")
        return found
