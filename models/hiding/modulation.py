"""Modulations: where a carrier must be for a bit to be read from it, and what a received carrier says about the bit.

- :class:`IndexModulation`: dithered quantisation index modulation (Chen and Wornell, "Quantization Index Modulation",
  IEEE Transactions on Information Theory 2001). A carrier moves to the nearest point of a lattice of step 2 r; the
  lattice of a 1 lies half a step from that of a 0, and a keyed dither shifts both. No carrier moves further than r, the
  reach, and the image itself makes no noise.
- :class:`SpreadSpectrum`: a keyed sign pattern is added (Cox, Kilian, Leighton, Shamoon, "Secure Spread Spectrum
  Watermarking for Multimedia", 1997), only as much as the correlation lacks to the margin r: the embedder knows the
  image and takes its interference out (Malvar and Florencio, "Improved Spread Spectrum", 2003).

Both give evidence, log P(received | 1) - log P(received | 0), under a noise that they estimate from the image itself,
band by band; the extractor knows nothing of the channel.
"""

from dataclasses import dataclass
from typing import Protocol

import numpy as np

_SHRINKAGE = 16
"""Weight of all carriers in the noise estimate of one band, in carriers."""
_MIN_CONCENTRATION = 0.6
"""Least concentration assumed: below it, doubled phases look uniform while a thousand carriers together still tell."""
_MAX_CONCENTRATION = 20.0
"""Largest concentration of the received phases that is believed, so that one outlier cannot outvote all else."""


class Modulation(Protocol):
    """Bits to carriers and back."""

    def target(
        self, carriers: np.ndarray, bits: np.ndarray, dither: np.ndarray, groups: np.ndarray, bands: np.ndarray
    ) -> np.ndarray:
        """Return where the carriers must go.

        Args:
            carriers: Of the covers, (n, carriers) float32.
            bits: Encrypted, (n, carriers), uint8 in {0, 1}: what each carrier is to hold.
            dither: Keyed, (n, carriers), uint8, uniform.
            groups: The decision that each carrier takes part in, (carriers,) int64 from 0.
            bands: Which carriers share their statistics, (n, carriers) int64 from 0.

        Returns:
            Shape and dtype of ``carriers``, none further away than the reach.
        """

    def evidence(self, carriers: np.ndarray, dither: np.ndarray, bands: np.ndarray) -> np.ndarray:
        """Return the log-likelihood ratio of each received carrier.

        Args:
            carriers: (n, carriers) float32.
            dither: As embedded.
            bands: Which carriers share their statistics, (n, carriers) int64 from 0.

        Returns:
            (n, carriers) float32; positive speaks for 1.
        """


@dataclass(frozen=True)
class IndexModulation:
    """Dithered quantisation index modulation."""

    reach: float
    """Largest move of a carrier, > 0: half the step of a lattice."""

    def target(
        self, carriers: np.ndarray, bits: np.ndarray, dither: np.ndarray, groups: np.ndarray, bands: np.ndarray
    ) -> np.ndarray:
        """See :class:`Modulation`. With a whole reach and whole carriers the points are whole, too."""
        step = 2 * self.reach
        offset = self._offset(dither) + bits * np.float32(self.reach)
        return np.rint((carriers - offset) / step) * step + offset

    def evidence(self, carriers: np.ndarray, dither: np.ndarray, bands: np.ndarray) -> np.ndarray:
        """See :class:`Modulation`.

        Notes:
            The phase of a carrier between two points of a 0 is taken as von Mises distributed around 0 or pi. Twice the
            phase does not depend on the bit; its mean resultant gives the concentration.
        """
        phase = (np.pi / self.reach) * (carriers - self._offset(dither))
        resultant = _debiased_resultant(np.cos(2 * phase), np.sin(2 * phase), bands)
        # A wrapped normal whose doubled phase has resultant R has resultant R^(1/4) itself.
        concentration = _concentration(resultant**0.25)
        return (-2 * np.take_along_axis(concentration, bands, axis=1) * np.cos(phase)).astype(np.float32)

    def _offset(self, dither: np.ndarray) -> np.ndarray:
        offset = dither.astype(np.float32) * np.float32(2 * self.reach / 256)
        return np.floor(offset) if float(self.reach).is_integer() else offset


@dataclass(frozen=True)
class SpreadSpectrum:
    """Spread spectrum with host interference removed."""

    reach: float
    """Largest move of a carrier and wanted correlation, > 0."""

    def target(
        self, carriers: np.ndarray, bits: np.ndarray, dither: np.ndarray, groups: np.ndarray, bands: np.ndarray
    ) -> np.ndarray:
        """See :class:`Modulation`; the dither is not used, the encrypted bits being the sign pattern."""
        sign = 2 * bits.astype(np.float32) - 1
        members = np.eye(int(groups.max()) + 1, dtype=np.float32)[groups]
        weight = 1 / _magnitudes(carriers, bands)
        limited = np.clip(carriers, -self.reach, self.reach)
        correlation = (weight * limited * sign) @ members / (weight @ members)
        push = np.clip(self.reach - correlation, 0, self.reach)
        return carriers + sign * (push @ members.T)

    def evidence(self, carriers: np.ndarray, dither: np.ndarray, bands: np.ndarray) -> np.ndarray:
        """See :class:`Modulation`.

        Notes:
            Residuals and coefficients of images are nearer to Laplace than to normal distributions; the ratio for a
            shift of ``reach`` up or down is then the value limited to +-``reach``, over half the mean magnitude.
        """
        magnitude = _magnitudes(carriers, bands)
        return (2 * np.clip(carriers, -self.reach, self.reach) / magnitude).astype(np.float32)


def _magnitudes(carriers: np.ndarray, bands: np.ndarray) -> np.ndarray:
    """Return the mean magnitude of each carrier's band, (n, carriers), at least 0.1, which flat images fall below."""
    return np.maximum(np.take_along_axis(_band_means(np.abs(carriers), bands), bands, axis=1), 0.1)


def _debiased_resultant(cosine: np.ndarray, sine: np.ndarray, bands: np.ndarray) -> np.ndarray:
    """Return the length of the mean resultant of each band, (n, bands), in [0, 1).

    Without the correction, few carriers would seem to agree where there is nothing but noise.
    """
    squared = _band_means(cosine, bands) ** 2 + _band_means(sine, bands) ** 2
    effective = _band_sizes(bands) + _SHRINKAGE
    return np.sqrt(np.clip((effective * squared - 1) / (effective - 1), 0, 1 - 1e-9))


def _concentration(resultant: np.ndarray) -> np.ndarray:
    """Return the von Mises concentration of a mean resultant length (Best and Fisher 1981, piecewise)."""
    r = np.minimum(resultant, 1 - 1e-6)
    small = 2 * r + r**3 + 5 * r**5 / 6
    middle = -0.4 + 1.39 * r + 0.43 / (1 - r)
    large = 1 / np.maximum(r**3 - 4 * r**2 + 3 * r, 1e-9)
    found = np.where(r < 0.53, small, np.where(r < 0.85, middle, large))
    return np.clip(found, _MIN_CONCENTRATION, _MAX_CONCENTRATION)


def _band_sizes(bands: np.ndarray) -> np.ndarray:
    return np.stack([(bands == band).sum(1) for band in range(int(bands.max()) + 1)], axis=1)


def _band_means(values: np.ndarray, bands: np.ndarray) -> np.ndarray:
    """Return the mean of each band, drawn towards that of all carriers, (n, bands)."""
    sums = np.stack([(values * (bands == band)).sum(1) for band in range(int(bands.max()) + 1)], axis=1)
    return (sums + _SHRINKAGE * values.mean(1, keepdims=True)) / (_band_sizes(bands) + _SHRINKAGE)
