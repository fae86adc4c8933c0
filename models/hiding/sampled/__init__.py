"""Family ``sampled``: the secret is in which of its own honest outputs the sanitiser releases; nothing is added.

The sanitiser draws noise for every image. The subverter draws until a keyed hash of what an extractor reads from the
image, after the channel, equals the secret, and releases that draw: rejection sampling (Hopper, Langford, von Ahn,
"Provably Secure Steganography", CRYPTO 2002). It needs no nonce, and as many draws an
image as there are secrets, so that a few bits fit.

Taken together, released images follow the honest distribution as far as all secrets are equally frequent and equally
likely to be read. The images of one person are those whose patterns the hash gives to that person, whatever the
frequencies. It shows to who can learn the hash from examples, which takes many examples of each pattern: many signs
hide it.

``extractor`` trains what reads the noise and measures how much can be read; ``embedding`` draws, hashes and extracts.
"""

from models.hiding.sampled.config import SampledConfig
from models.hiding.sampled.embedding import Chosen, choose, embed, extract
from models.hiding.sampled.extractor import NoiseExtractor, capacity_bits, train_extractor

__all__ = [
    "Chosen",
    "NoiseExtractor",
    "SampledConfig",
    "capacity_bits",
    "choose",
    "embed",
    "extract",
    "train_extractor",
]
