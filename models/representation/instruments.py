"""What every trial measures with: networks of the public people, trained once and kept in the cache.

The perceptual network compares images by features; the encoder is trained against it too, so its distance flatters the
encoder. The embedding says how alike two faces are as people; the encoder never sees it.

References:
    Johnson, Alahi, Fei-Fei. "Perceptual losses for real-time style transfer and super-resolution". ECCV 2016.
    Zhang, Isola, Efros, Shechtman, Wang. "The unreasonable effectiveness of deep features as a perceptual metric". CVPR
    2018 (features of unit length at each place).
    Wang et al. "CosFace: large margin cosine loss for deep face recognition". CVPR 2018 (cosines times a scale).
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Protocol, TypeVar

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from models.image_quality import to_float
from models.losses import require_finite, update
from models.randomness import seeded
from models.representation.config import PerceptualConfig
from models.representation.networks import halving, same_size

Network = TypeVar("Network", bound=nn.Module)

_AT_ONCE = 256  # images of one forward pass without gradients
_BATCH, _LEARNING_RATE, _WEIGHT_DECAY = 64, 2e-3, 1e-2
_EMBEDDING_SIZE, _SCALE, _MARGIN = 64, 16.0, 0.2
_FEATURE_WIDTH = 8  # of the perceptual network: it runs several times in every step of the encoder
_SHIFT = 2  # pixels by which training images are moved, so that the embedding does not hang on places
_VGG_PREFIX = "features."
_VGG_LAYERS = (4, 9, 16)  # after relu1_2, relu2_2 and relu3_3 of torchvision's VGG-16
_IMAGENET_MEAN, _IMAGENET_STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)


class FeatureNetwork(Protocol):
    """Anything that gives three maps of features, from fine to coarse."""

    def features(self, images: Tensor) -> list[Tensor]:
        """Map (n, 3, size, size) in [-1, 1] to three maps (n, channels, side, side); differentiable."""


class Perceptual:
    """Distance of images in the features of a fixed network."""

    def __init__(self, network: FeatureNetwork, layers: str = "1+2+3") -> None:
        """Keep the network; ``layers`` joins those that count by "+"."""
        self.network = network
        self._layers = [int(name) - 1 for name in layers.split("+")]

    def features(self, images: Tensor) -> list[Tensor]:
        """Return the chosen maps, every place of unit length over its channels."""
        maps = self.network.features(images)
        return [F.normalize(maps[index], dim=1) for index in self._layers]

    def distance(self, estimate: Tensor, reference: Tensor) -> Tensor:
        """Return the distance of each pair, (n,), mean of layers and places, in [0, 4]; 0 for equal images."""
        return self.between(self.features(estimate), self.features(reference))

    @staticmethod
    def between(estimate: list[Tensor], reference: list[Tensor]) -> Tensor:
        """Return :meth:`distance` of images whose features are known; those of one image stand for all."""
        pairs = zip(estimate, reference, strict=True)
        return torch.stack([(a - b).square().sum(1).flatten(1).mean(1) for a, b in pairs]).mean(0)


class FaceClassifier(nn.Module):
    """A small classifier whose first three maps serve as features."""

    def __init__(self, outputs: int, width: int = 16) -> None:
        super().__init__()
        self.first, self.second = same_size(3, width), halving(width, 2 * width)
        self.third = halving(2 * width, 4 * width)
        self.rest = nn.Sequential(halving(4 * width, 4 * width), nn.AdaptiveAvgPool2d(2), nn.Flatten())
        self.head = nn.Linear(16 * width, outputs)

    def features(self, images: Tensor) -> list[Tensor]:
        """See :class:`FeatureNetwork`."""
        first = self.first(images.contiguous(memory_format=torch.channels_last))
        second = self.second(first)
        return [first, second, self.third(second)]

    def forward(self, images: Tensor) -> Tensor:
        """Map (n, 3, size, size) in [-1, 1] to (n, outputs)."""
        out: Tensor = self.head(self.rest(self.features(images)[-1]))
        return out

    def loss(self, images: Tensor, labels: Tensor) -> Tensor:
        """Return the cross-entropy, in nats."""
        return F.cross_entropy(self(images), labels)


class Embedding(nn.Module):
    """Faces to vectors of unit length; the cosine of two says how alike the people are."""

    def __init__(self, identities: int) -> None:
        super().__init__()
        self.body = FaceClassifier(_EMBEDDING_SIZE)
        self.people = nn.Parameter(torch.randn(identities, _EMBEDDING_SIZE))

    def forward(self, images: Tensor) -> Tensor:
        """Map (n, 3, size, size) in [-1, 1] to (n, 64)."""
        return F.normalize(self.body(images), dim=1)

    def loss(self, images: Tensor, identity: Tensor) -> Tensor:
        """Return the large-margin cosine loss (Wang et al. 2018, eq. 4), in nats."""
        cosine = self(images) @ F.normalize(self.people, dim=1).T
        margin = _MARGIN * F.one_hot(identity, cosine.shape[1])
        return F.cross_entropy(_SCALE * (cosine - margin), identity)


class VGG16(nn.Module):
    """Features of VGG-16 with weights from a file."""

    mean: Tensor
    std: Tensor

    def __init__(self, weights: Path) -> None:
        """Read torchvision's state dict.

        Raises:
            ValueError: If the file does not hold the weights of torchvision's VGG-16.
        """
        super().__init__()
        from torchvision.models.vgg import cfgs, make_layers

        network = make_layers(cfgs["D"])
        try:
            state = torch.load(weights, weights_only=True, map_location="cpu")
            kept = {name: tensor for name, tensor in state.items() if name.startswith(_VGG_PREFIX)}
            network.load_state_dict({name.removeprefix(_VGG_PREFIX): tensor for name, tensor in kept.items()})
        except Exception as error:  # a file of another kind fails in the reader, a wrong network in the names
            raise ValueError(
                f"perceptual.weights={str(weights)!r} does not hold the weights of torchvision.models.vgg16: {error}"
            ) from error
        self.layers = network[: _VGG_LAYERS[-1]]
        self.register_buffer("mean", torch.tensor(_IMAGENET_MEAN)[:, None, None], persistent=False)
        self.register_buffer("std", torch.tensor(_IMAGENET_STD)[:, None, None], persistent=False)

    def features(self, images: Tensor) -> list[Tensor]:
        """See :class:`FeatureNetwork`."""
        maps, found = ((images + 1) / 2 - self.mean) / self.std, []
        for index, layer in enumerate(self.layers, start=1):
            maps = layer(maps)
            if index in _VGG_LAYERS:
                found.append(maps)
        return found


def load_vgg(config: PerceptualConfig) -> VGG16:
    """Return the frozen VGG-16 of the configured file.

    Raises:
        ValueError: If the file does not hold its weights.
    """
    return frozen(VGG16(Path(config.weights).expanduser()))


def perceptual_network(classes: int) -> FaceClassifier:
    """Return an untrained perceptual network."""
    return FaceClassifier(classes, _FEATURE_WIDTH)


def fit_perceptual(images: Tensor, labels: Tensor, classes: int, *, steps: int, seed: int) -> FaceClassifier:
    """Train the perceptual network to tell ``labels``, (n,) int64, of public ``images``, (n, 3, size, size) uint8."""
    with seeded(seed, "perceptual", "weights"):
        network = perceptual_network(classes).to(images.device)
    _fit("perceptual network", network, images, labels, steps, seed, shift=0)
    return network


def fit_embedding(images: Tensor, identity: Tensor, *, steps: int, seed: int) -> Embedding:
    """Train the identity embedding on public ``images``, uint8, of people ``identity``, (n,) int64 from 0 on."""
    with seeded(seed, "embedding", "weights"):
        network = Embedding(int(identity.max()) + 1).to(images.device)
    _fit("identity embedding", network, images, identity, steps, seed, shift=_SHIFT)
    return network


def _fit(
    name: str, network: FaceClassifier | Embedding, images: Tensor, labels: Tensor, steps: int, seed: int, shift: int
) -> None:
    """Train in place and freeze.

    Raises:
        FloatingPointError: If the loss is no longer finite.
    """
    optimiser = torch.optim.AdamW(network.parameters(), _LEARNING_RATE, weight_decay=_WEIGHT_DECAY)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimiser, steps)
    network.train()
    with seeded(seed, name):
        for step in range(steps):
            rows = torch.randint(len(images), (_BATCH,))
            batch = _moved(to_float(images[rows.to(images.device)]), shift)
            truth = labels[rows.to(labels.device)]
            loss = network.loss(batch, truth)
            update(optimiser, loss)
            schedule.step()
            if step % 50 == 49 or step == steps - 1:
                require_finite({"loss": float(loss.detach())}, name)
    frozen(network)


def _moved(images: Tensor, most: int) -> Tensor:
    """Move a whole batch by up to ``most`` pixels, its edge repeated, and mirror every second one."""
    if most == 0:
        return images
    size = images.shape[-1]
    right, down, mirror = (int(value) for value in torch.randint(2 * most + 1, (3,)))
    padded = F.pad(images, (most, most, most, most), mode="replicate")
    moved = padded[..., down : down + size, right : right + size]
    return moved.flip(-1) if mirror % 2 else moved


def frozen(network: Network) -> Network:
    """Put a network into evaluation mode and take its parameters out of every training."""
    return network.eval().requires_grad_(False)


@torch.no_grad()
def embed(network: Embedding, images: Tensor) -> Tensor:
    """Return the embeddings of images (n, 3, size, size), float32 in [-1, 1], on the CPU."""
    device = next(network.parameters()).device
    return torch.cat([network(part.to(device)).cpu() for part in images.split(_AT_ONCE)])


def same_and_other(vectors: Tensor, identity: Sequence[int] | Tensor) -> tuple[Tensor, Tensor]:
    """Return the cosines of all pairs of images of different people, and those of one person."""
    person = torch.as_tensor(identity)
    cosines = vectors @ vectors.T
    same = person[:, None] == person[None, :]
    once = torch.ones_like(same).triu(1)
    return cosines[once & ~same], cosines[once & same]
