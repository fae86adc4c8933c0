"""Settings of the battery of checks: how each adversary is trained, and what its controls ask of it."""

from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from typing import Any

from models.checks.adversaries import (
    CODE_ADVERSARIES,
    DEFAULT_STRONG,
    IDENTITY_ADVERSARIES,
    IMAGE_CLOSED_FORM,
    INFORMED_ADVERSARIES,
    NETWORKS,
)
from models.checks.ensemble import ENSEMBLE
from models.checks.inversion_config import InversionConfig

STEGANALYSERS = ("high_pass", "positions", "srnet", "spam", "chi_square", "sample_pairs")
"""Every steganalyser; see ``models.checks.steganalysis.detectors``."""

FAST_STEGANALYSERS = ("high_pass", "positions")
"""Those of the fast battery."""

PRECISIONS = ("auto", "float32", "bfloat16")
ONE_CYCLE, PLATEAU = "one_cycle", "plateau"


@dataclass(frozen=True)
class FitConfig:
    """How one adversary is trained. Budgets are in steps, so that a busy machine does not weaken a check."""

    steps: int = 260
    """Most updates, >= 1."""
    batch_size: int = 128
    """Images a step, >= 2; the steganalyser's are half covers, half their own stego images."""
    learning_rate: float = 4e-3
    """Peak, in (0, 1): a linear rise over the first fifth of the steps, then a cosine down to 0 (AdamW)."""
    weight_decay: float = 0.05
    """Decoupled, >= 0."""
    width: int = 16
    """Channels; see ``models.checks.adversaries``. >= 2."""
    evaluate_every: int = 65
    """Steps between two looks at the validation images, >= 1; the best look is what is judged."""
    interim_images: int = 500
    """Validation images (or pairs) of such a look, >= 1."""
    patience: int = 2
    """Looks without a better score after which training ends, if the training images are also fitted by then; >= 1."""
    fitted: float = 0.1
    """Training loss, as a share of a guesser's, below which the training images count as fitted, in (0, 1). A leak may
    take a hundred steps to be noticed at all, so a flat validation curve alone never ends a training."""
    precision: str = "auto"
    """Of the network: "float32", "bfloat16", or "auto": bfloat16 where the device multiplies it natively."""
    schedule: str = ONE_CYCLE
    """"one_cycle", as above, or "plateau": the rate stays at its peak, falls to a fifth once ``patience`` looks gained
    neither in training loss nor in validation score, and training ends when the same happens again; ``steps`` is then a
    limit that converged trainings do not reach."""
    seeds: int = 1
    """Trainings on a release, whose mean counts, >= 1; of honest images there are ``honest_seeds``."""

    def problems(self, where: str) -> list[str]:
        """Return what is wrong, a line each, naming ``where`` and the field, the value and what is permitted."""
        least = {"steps": 1, "batch_size": 2, "width": 2, "evaluate_every": 1, "interim_images": 1, "patience": 1}
        least |= {"seeds": 1}
        found = _whole_numbers(self, where, least)
        found += _inside(self, where, ("learning_rate", "fitted"), 0, 1)
        if not _number(self.weight_decay) or not 0 <= self.weight_decay < float("inf"):
            found.append(f"{where}.weight_decay = {self.weight_decay!r}; must be a finite number >= 0")
        if self.precision not in PRECISIONS:
            found.append(f"{where}.precision = {self.precision!r}; must be one of {', '.join(PRECISIONS)}")
        if self.schedule not in (ONE_CYCLE, PLATEAU):
            found.append(f"{where}.schedule = {self.schedule!r}; must be one of {ONE_CYCLE}, {PLATEAU}")
        return found


@dataclass(frozen=True)
class ControlConfig:
    """What the controls plant and what they require."""

    tolerance: float = 0.05
    """Points of accuracy by which a value may miss its honest baseline, in (0, 1): that of the bounds. Strength 0 must
    stay within it, a planted leak must exceed it."""
    read_share: float = 0.75
    """Part of the way from chance to 1 that an adversary must read of a planted leak, in (0, 1). A share and not an
    accuracy, so that it means the same with 6 and with 600 identities."""
    bit_share: float = 0.25
    """Share of the pixel values whose lowest bit the planted embedding of the identity overwrites, in (0, 1]."""
    levels: float = 2.0
    """Grey levels of the patterns that controls plant before publication, in (0, 32]; doubled until half of a pattern
    is left after it."""
    noise_rate: float = 0.5
    """Share of the pixel values that the planted steganography changes by one grey level, in (0, 1]. 0.5 is what the
    lowest bit at full capacity causes."""
    noise_auc: float = 0.6
    """AUC that a steganalyser must exceed on it, in (0.5, 1): that of the bound."""
    fainter_rates: tuple[float, ...] = (0.1,)
    """Smaller shares, in (0, ``noise_rate``), at which it is recorded what each steganalyser still sees."""

    def problems(self, where: str) -> list[str]:
        """Return what is wrong, a line each."""
        found = _inside(self, where, ("tolerance", "read_share"), 0, 1)
        for name in ("bit_share", "noise_rate"):
            value = getattr(self, name)
            if not _number(value) or not 0 < value <= 1:
                found.append(f"{where}.{name} = {value!r}; must lie in (0, 1]")
        if not _number(self.levels) or not 0 < self.levels <= 32:
            found.append(f"{where}.levels = {self.levels!r}; must lie in (0, 32]")
        rates = self.fainter_rates
        if not all(_number(rate) and _number(self.noise_rate) and 0 < rate < self.noise_rate for rate in rates):
            found.append(
                f"{where}.fainter_rates = {list(rates)}; must be numbers above 0 and below noise_rate = "
                f"{self.noise_rate!r}"
            )
        return found + _inside(self, where, ("noise_auc",), 0.5, 1)


_TO_PLATEAU: dict[str, Any] = {"steps": 2000, "batch_size": 64, "evaluate_every": 50, "schedule": PLATEAU}


def _default_fits() -> dict[str, FitConfig]:
    return {
        "plain": FitConfig(),
        "high_pass": FitConfig(steps=340, batch_size=64, evaluate_every=85),
        "bit_plane": FitConfig(steps=200, learning_rate=3e-3, evaluate_every=50),
        **{name: FitConfig(**_TO_PLATEAU) for name in NETWORKS if name not in DEFAULT_STRONG},
        "expression": FitConfig(steps=200, evaluate_every=50),
        "steganalyser": FitConfig(steps=480, batch_size=64, weight_decay=0.01, evaluate_every=120, interim_images=250),
        "steganalyser_srnet": FitConfig(
            steps=480, batch_size=64, weight_decay=0.01, width=8, evaluate_every=120, interim_images=250
        ),
    }


FITS = tuple(_default_fits())
"""What is trained: identity adversaries, the expression classifier (a plain network) and steganalysers."""


THREATS = {
    "strong": IDENTITY_ADVERSARIES,
    "informed": INFORMED_ADVERSARIES,
    "paired": (*IMAGE_CLOSED_FORM, ENSEMBLE),
    "latent": CODE_ADVERSARIES,
}
"""Threat models by the field that lists their adversaries, with those that each may name."""


@dataclass(frozen=True)
class CheckConfig:
    """Settings of a battery of checks."""

    strong: tuple[str, ...] = DEFAULT_STRONG
    """Adversaries of the strong identity check, at least one; the worst counts. The ensemble is of the others."""
    informed: tuple[str, ...] = ()
    """Adversaries that hold further honest releases of the sanitiser as well, closed forms or their ensemble."""
    paired: tuple[str, ...] = ()
    """Adversaries that see the difference between a release and the honest one of the same input and noise: a worst
    case, since nobody but the supplier has both."""
    latent: tuple[str, ...] = ()
    """Adversaries on the latent code from which the sanitiser draws."""
    require_convergence: bool = False
    """Whether an adversary that has not converged measures nothing, so that its check is violated, instead of only
    forbidding the verdict "pass"."""
    steganalysers: tuple[str, ...] = FAST_STEGANALYSERS
    """Detectors of stego images, at least one; the strongest counts."""
    honest_seeds: int = 2
    """Trainings whose mean is the honest baseline, >= 2: with one, strength 0 could not be held against it."""
    fits: Mapping[str, FitConfig] = field(default_factory=_default_fits)
    """Training of each of ``FITS``."""
    controls: ControlConfig = field(default_factory=ControlConfig)
    inversion: InversionConfig | None = None
    """The decoder of the inversion check; None trains none."""

    def problems(self) -> list[str]:
        """Return what is wrong, a line each, naming the field, the value and what is permitted."""
        found = []
        for threat, known in THREATS.items():
            names = getattr(self, threat)
            alone = set(names) == {ENSEMBLE}
            if set(names) - set(known) or len(set(names)) < len(names) or alone or (threat == "strong" and not names):
                least = "at least one" if threat == "strong" else "any"
                found.append(
                    f"adversaries.{threat} = {list(names)}; must name {least} of {', '.join(known)}, each once"
                    + (f", and {ENSEMBLE} beside others" if ENSEMBLE in known else "")
                )
        if not isinstance(self.require_convergence, bool):
            found.append(f"adversaries.require_convergence = {self.require_convergence!r}; must be true or false")
        named = self.steganalysers
        if not named or set(named) - set(STEGANALYSERS) or len(set(named)) < len(named):
            names = ", ".join(STEGANALYSERS)
            found.append(f"adversaries.steganalysers = {list(named)}; must name at least one of {names}, each once")
        found += _whole_numbers(self, "adversaries", {"honest_seeds": 2})
        for name, fit in self.fits.items():
            found += fit.problems(f"adversaries.fits.{name}")
        if self.inversion is not None:
            found += self.inversion.problems("adversaries.inversion")
        return found + self.controls.problems("adversaries.controls")

    @classmethod
    def from_mapping(cls, mapping: Mapping[str, Any]) -> "CheckConfig":
        """Build the settings from a plain mapping, such as the ``adversaries`` part of a configuration.

        Args:
            mapping: Any of ``strong``, ``informed``, ``paired``, ``latent`` and ``steganalysers`` (lists of names),
                ``honest_seeds``, ``require_convergence``, ``precision`` (of all fits), ``fits`` (name -> fields of
                ``FitConfig``), ``controls`` (fields of ``ControlConfig``) and ``inversion`` (fields of
                ``InversionConfig``; null for no such check). What is left out keeps its default.

        Raises:
            ValueError: If a key is unknown or a value is not permitted; the message has a line for every problem.
        """
        others = ("steganalysers", "honest_seeds", "require_convergence", "precision", "fits", "controls", "inversion")
        found = _unknown(mapping, (*THREATS, *others), "adversaries")
        given = _section(mapping, "fits", "adversaries", found)
        found += _unknown(given, FITS, "adversaries.fits")
        fits = {}
        for name, default in _default_fits().items():
            values = {"precision": mapping.get("precision", default.precision)}
            values |= _section(given, name, "adversaries.fits", found)
            fits[name] = _updated(default, values, f"adversaries.fits.{name}", found)
        controls = _section(mapping, "controls", "adversaries", found)
        config = cls(
            **{threat: _names(mapping.get(threat, getattr(cls, threat))) for threat in THREATS},
            steganalysers=_names(mapping.get("steganalysers", FAST_STEGANALYSERS)),
            require_convergence=mapping.get("require_convergence", cls.require_convergence),
            honest_seeds=mapping.get("honest_seeds", cls.honest_seeds),
            fits=fits,
            controls=_updated(ControlConfig(), _with_listed_rates(controls), "adversaries.controls", found),
            inversion=_inversion(mapping, found),
        )
        found += config.problems()
        if found:
            raise ValueError("\n".join(found))
        return config


def _names(value: Any) -> tuple[Any, ...]:
    """Return a list of a configuration as a tuple; a single value stands for a list of it."""
    return (value,) if isinstance(value, str) or not hasattr(value, "__iter__") else tuple(value)


def _inversion(mapping: Mapping[str, Any], found: list[str]) -> InversionConfig | None:
    if mapping.get("inversion") is None:
        return None
    given = _section(mapping, "inversion", "adversaries", found)
    updated: InversionConfig = _updated(InversionConfig(), given, "adversaries.inversion", found)
    return updated


def _with_listed_rates(controls: Mapping[str, Any]) -> Mapping[str, Any]:
    if "fainter_rates" not in controls:
        return controls
    return {**controls, "fainter_rates": _names(controls["fainter_rates"])}


def _updated(default: Any, values: Mapping[str, Any], where: str, found: list[str]) -> Any:
    """Return the frozen ``default`` with ``values`` in place of its fields, noting unknown ones in ``found``."""
    names = [entry.name for entry in fields(default)]
    found += _unknown(values, names, where)
    return type(default)(**{name: values.get(name, getattr(default, name)) for name in names})


def _section(mapping: Mapping[str, Any], name: str, where: str, found: list[str]) -> Mapping[str, Any]:
    value = mapping.get(name, {})
    if isinstance(value, Mapping):
        return value
    found.append(f"{where}.{name} = {value!r}; must be a mapping")
    return {}


def _unknown(mapping: Mapping[str, Any], known: tuple[str, ...] | list[str], where: str) -> list[str]:
    return [f"{where}.{name}: unknown; known are {', '.join(known)}" for name in mapping if name not in known]


def _whole_numbers(settings: Any, where: str, least: Mapping[str, int]) -> list[str]:
    values = {name: getattr(settings, name) for name in least}
    return [
        f"{where}.{name} = {value!r}; must be a whole number >= {least[name]}"
        for name, value in values.items()
        if not isinstance(value, int) or isinstance(value, bool) or value < least[name]
    ]


def _inside(settings: Any, where: str, names: tuple[str, ...], low: float, high: float) -> list[str]:
    values = {name: getattr(settings, name) for name in names}
    return [
        f"{where}.{name} = {value!r}; must lie in ({low:g}, {high:g})"
        for name, value in values.items()
        if not _number(value) or not low < value < high
    ]


def _number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)
