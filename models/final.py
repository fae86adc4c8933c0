"""A trained model in use: sanitise images, with a secret inside, and reveal it again.

    from models import final

    model = final.load("studies/final")
    released = model.sanitise(images, target)   # 8-bit images that show the target identity
    revealed = model.reveal(released)           # what was hidden, read with the model's own key

It is for showing what a release can carry; see "Responsible use" in the README.
"""

import secrets
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor

from models.hiding.carriers import Sanitised
from models.hiding.finished import FinishedSubverter
from models.hiding.key import Key
from models.hiding.loading import load_subverter
from models.hiding.payload import Revealed
from models.ppgan.release import sanitise
from models.randomness import numpy_generator, torch_generator


@dataclass(frozen=True)
class FinalModel:
    """Sanitiser, embedder, extractor and key of one training."""

    subverter: FinishedSubverter

    @property
    def key(self) -> str:
        """The subverter's key, 64 hexadecimal digits."""
        return self.subverter.key.secret.hex()

    def sanitise(
        self,
        images: Tensor,
        target: Tensor | int,
        *,
        identity: Tensor | None = None,
        hide: bool = True,
        seed: int | None = None,
    ) -> Tensor:
        """Sanitise images and release them.

        Args:
            images: (n, 3, size, size), uint8; ``subverter.size`` pixels on a side.
            target: Identity to show, 0..identities - 1: (n,) int64, or one for all.
            identity: Who is on the images, (n,) int64; needed where the secret is the identity.
            hide: Whether to hide the secret; without, the sanitiser's honest output is released.
            seed: Of the noise in the latent code, of the nonces and of the published channel; None draws from the
                system. A seed must not be used for two releases with a secret: nonces would repeat.

        Returns:
            Released images as published, shape and dtype of ``images``, on the CPU.

        Raises:
            ValueError: If an argument does not fit the model; every problem is named.
        """
        own, count = self.subverter, len(images)
        chosen = torch.full((count,), target) if isinstance(target, int) else target
        needed = hide and own.config.secret == "identity" and own.payload is not None
        if problems := self._problems(images, chosen, identity, needed=needed):
            raise ValueError("\n".join(problems))
        drawn = secrets.randbits(62) if seed is None else seed
        covers = sanitise(own.generator, images, chosen, torch_generator(drawn, "final"))
        released = covers
        if hide:
            known = torch.zeros(count, dtype=torch.int64) if identity is None else identity
            released = own.embed(Sanitised(images, known, chosen, covers), name=f"final {drawn}").images.cpu()
        return own.channel.published.apply(released, numpy_generator(drawn, "final", "publish"))

    def reveal(self, released: Tensor, key: str | None = None) -> Revealed:
        """Read what is hidden in released images.

        Args:
            released: (n, 3, size, size), uint8, as they arrive.
            key: 64 hexadecimal digits; None: the model's own. Another key reads noise.

        Returns:
            Images, float32 in [-1, 1], and identities where the secret is the identity.

        Raises:
            ValueError: If the images do not fit the model, or the key is no key.
        """
        if problems := self._image_problems("released", released):
            raise ValueError("\n".join(problems))
        return self.subverter.reveal(released, None if key is None else _key(key)).revealed

    def _problems(self, images: Tensor, target: Tensor, identity: Tensor | None, *, needed: bool) -> list[str]:
        found = self._image_problems("images", images)
        labels = {"target": target} | ({} if identity is None else {"identity": identity})
        for name, values in labels.items():
            if values.dtype != torch.int64 or values.shape != (len(images),):
                found.append(f"{name}: {values.dtype} {tuple(values.shape)}; must be int64 ({len(images)},)")
            elif len(values) and not 0 <= int(values.min()) <= int(values.max()) < self.subverter.identities:
                least, most = int(values.min()), int(values.max())
                found.append(f"{name}: {least}..{most}; must lie in 0..{self.subverter.identities - 1}")
        if needed and identity is None:
            found.append("identity: must be given, since this model hides who is on the images")
        return found

    def _image_problems(self, name: str, images: Tensor) -> list[str]:
        size = self.subverter.size
        if images.dtype == torch.uint8 and images.ndim == 4 and tuple(images.shape[1:]) == (3, size, size):
            return []
        return [f"{name}: {images.dtype} {tuple(images.shape)}; must be uint8 (n, 3, {size}, {size})"]


def load(folder: str | Path, device: str = "cpu") -> FinalModel:
    """Load a model.

    Args:
        folder: What ``python -m study.final_training`` wrote, or the artifacts of one trial or seed.
        device: Where its networks run, "cpu" or "cuda".

    Raises:
        ValueError: If there are no weights, or the file is damaged; the message says what to do. Nothing is unpickled.
    """
    return FinalModel(load_subverter(Path(folder), device))


def _key(text: str) -> Key:
    try:
        return Key(bytes.fromhex(text))
    except ValueError as error:
        raise ValueError(f"key: must be 64 hexadecimal digits ({error})") from None
