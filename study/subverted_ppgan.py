"""The experiment ``subverted_ppgan``: one configuration, from the honest PP-GAN to what every check reads.

The steps of a trial: the honest PP-GAN with its own battery of checks and the subverter's compressor (all shared by
trials with the same settings, hence mostly found in the cache), each epoch of a learned embedder, and at last the checks
of what is released.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from models import gallery
from models.checkpoints import Saved, save, with_prefix
from models.data import SPLITS, load_splits
from models.hiding.config import SubversionConfig
from models.hiding.learned import LearnedConfig
from models.hiding.payload import ImagePayload
from models.hiding.reconstruction import bit_errors, cover_quality, reconstruction_quality
from models.hiding.subverter import Subverter, TrainSplit
from models.image_quality import to_float, to_uint8
from models.measurement import Control, Measurement
from models.ppgan.config import PPGANConfig
from models.ppgan.release import StageOne, stage_one
from study.evaluation import Context, StepReport

GALLERY_ROWS = 8
