"""Architecture ``invertible``: affine couplings between cover and secret, run forwards to embed and back to extract.

After HiNet (Jing, Deng, Xu, Wang, Guan, "HiNet: Deep Image Hiding by Invertible Network", ICCV 2021). Each coupling
adds a function of the secret to the cover, then scales and shifts the secret by functions of the cover. What is left
of the secret at the end is lost, and the way back starts from zeros in its place. Differences: pixels gathered into
cells in place of a Haar transform, two couplings in place of sixteen, the secret may be bits, and the functions of the
cover see its high-pass residuals. Since the change is bounded by the embedding strength, the way back is approximate in
any case, and its batch normalisation has statistics of its own: without normalisation of batches the couplings learnt
too slowly, with statistics that both ways share they failed outside of training.
"""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from models.hiding.codec import GRID
from models.hiding.learned.high_pass import SecondDifferences
from models.hiding.learned.layout import cell_planes, from_cells, to_cells
from models.image_quality import GREY_LEVEL

COUPLINGS = 2
_LARGEST_LOG_SCALE = 2.0  # as HiNet clamps it


class Couplings(nn.Module):
    """The couplings that embedder and extractor share, in the order of embedding."""

    def __init__(self, *, planes: int, size: int, width: int, strength: int) -> None:
        super().__init__()
        self.planes = planes
        self.register_buffer("unit", torch.tensor(max(strength, 1) * GREY_LEVEL), persistent=False)
        steps = [Coupling(planes=planes, size=size, width=width, unit=max(strength, 1)) for _ in range(COUPLINGS)]
        self.ordered = tuple(steps)
        self.steps = nn.ModuleList(steps)


class Coupling(nn.Module):
    """One pair of couplings: the secret moves the cover, then the cover transforms the secret."""

    def __init__(self, *, planes: int, size: int, width: int, unit: int) -> None:
        super().__init__()
        self.size = size
        self.register_buffer("unit", torch.tensor(float(unit)), persistent=False)
        self.residuals = SecondDifferences()
        self.of_secret = _Function(planes, width, cell_planes(size))
        self.of_cover = _Function(cell_planes(size, SecondDifferences.channels), width, 2 * planes)
        with torch.no_grad():  # begin additive: random scales would blur the first readings
            for parameter in self.of_cover.last.parameters():
                parameter[:planes] = 0.0

    def change(self, planes: Tensor, *, backwards: bool = False) -> Tensor:
        """Return the change of the cover, (n, 3, size, size) in units of the strength, from planes of the secret."""
        return from_cells(self.of_secret(planes, backwards), self.size)

    def transform(self, planes: Tensor, images: Tensor) -> Tensor:
        """Scale and shift planes of the secret by functions of the images; the shape stays."""
        scale, shift = self._scale_and_shift(images, backwards=False)
        return planes * scale + shift

    def restore(self, planes: Tensor, images: Tensor) -> Tensor:
        """Undo :meth:`transform`, given the same images."""
        scale, shift = self._scale_and_shift(images, backwards=True)
        return (planes - shift) / scale

    def _scale_and_shift(self, images: Tensor, *, backwards: bool) -> tuple[Tensor, Tensor]:
        residuals = to_cells(self.residuals(images) / self.get_buffer("unit"))
        log_scale, shift = self.of_cover(residuals, backwards).chunk(2, dim=1)
        return torch.exp(_LARGEST_LOG_SCALE * torch.tanh(log_scale)), shift


class ForwardPass(nn.Module):
    """Turns covers and planes into a change of pixels."""

    def __init__(self, couplings: Couplings) -> None:
        super().__init__()
        self.couplings = couplings

    def forward(self, covers: Tensor, planes: Tensor) -> Tensor:
        """Return (n, 3, size, size) from covers of that shape in [-1, 1] and planes (n, planes, 8, 8)."""
        images, unit = covers, self.couplings.get_buffer("unit")
        *others, last = self.couplings.ordered
        for step in others:
            images = images + step.change(planes) * unit
            planes = step.transform(planes, images)
        return (images - covers) / unit + last.change(planes)  # the last transformed secret is what is lost


class ReversePass(nn.Module):
    """Turns released images into planes."""

    def __init__(self, couplings: Couplings) -> None:
        super().__init__()
        self.couplings = couplings

    def forward(self, released: Tensor) -> Tensor:
        """Return (n, planes, 8, 8) from images (n, 3, size, size), float32 in [-1, 1]."""
        images = released
        planes = released.new_zeros(len(released), self.couplings.planes, GRID, GRID)
        first, *others = self.couplings.ordered
        for step in reversed(others):
            planes = step.restore(planes, images)
            images = images - step.change(planes, backwards=True) * self.couplings.get_buffer("unit")
        return first.restore(planes, images)


class _Function(nn.Module):
    """A network at 8 x 8, from (n, inputs, 8, 8) to (n, outputs, 8, 8), with the same weights both ways."""

    def __init__(self, inputs: int, width: int, outputs: int) -> None:
        super().__init__()
        self.first = nn.Conv2d(inputs, width, 3, 1, 1)
        self.middle = nn.Conv2d(width, width, 3, 1, 1)
        self.last = nn.Conv2d(width, outputs, 3, 1, 1)
        self.norms = nn.ModuleList(nn.BatchNorm2d(width) for _ in range(4))  # two forwards, two backwards

    def forward(self, planes: Tensor, backwards: bool) -> Tensor:
        one, two = list(self.norms)[2:] if backwards else list(self.norms)[:2]
        planes = F.leaky_relu(one(self.first(planes)), 0.2)
        return self.last(F.leaky_relu(two(self.middle(planes)), 0.2))
