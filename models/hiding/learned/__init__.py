"""Family ``learned``: a neural embedder writes the secret into a cover within a bound, a neural extractor reads it.

In the manner of HiDDeN (Zhu, Kaplan, Johnson, Fei-Fei, "HiDDeN: Hiding Data With Deep Networks", ECCV 2018), with
three differences: the change of a pixel is bounded by the embedding strength, the image is rounded to 8 bits inside
training, and bits can be encrypted under a key stream that is different for every image. Where released images pass a
channel before they are read, the training passes its differentiable surrogate.

Adversaries in the loop learn beside the embedder: some read the identity from stego images, others tell stego from
cover.
"""

from models.hiding.learned.config import LearnedConfig
from models.hiding.learned.high_pass import SecondDifferences
from models.hiding.learned.networks import Embedder, Extractor
from models.hiding.learned.nonces import carried_bits, split_nonces, with_nonces
from models.hiding.learned.released import embed, embed_images, extract, extract_images
from models.hiding.learned.training import LearnedData, LearnedTraining

__all__ = [
    "Embedder",
    "Extractor",
    "LearnedConfig",
    "LearnedData",
    "LearnedTraining",
    "SecondDifferences",
    "carried_bits",
    "embed",
    "embed_images",
    "extract",
    "extract_images",
    "split_nonces",
    "with_nonces",
]
