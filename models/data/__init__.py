"""Faces and their labels, drawn or read from files, checked, and divided into train, validation and test."""

from models.data.celeba import CelebAConfig
from models.data.dataset import DataError, FaceData, Origin, face_data
from models.data.ferg import FergConfig
from models.data.folder import FolderConfig, load_folder
from models.data.listing import load_files
from models.data.loading import (
    attributes_in,
    data_problems,
    described,
    identities_in,
    load_faces,
    load_splits,
    split_sizes,
)
from models.data.mug import MugConfig
from models.data.procedural import ProceduralConfig, procedural_faces
from models.data.splits import SPLITS, SplitConfig, Splits, split_faces

__all__ = [
    "SPLITS",
    "CelebAConfig",
    "DataError",
    "FaceData",
    "FergConfig",
    "FolderConfig",
    "MugConfig",
    "Origin",
    "ProceduralConfig",
    "SplitConfig",
    "Splits",
    "attributes_in",
    "data_problems",
    "described",
    "face_data",
    "identities_in",
    "load_faces",
    "load_files",
    "load_folder",
    "load_splits",
    "procedural_faces",
    "split_faces",
    "split_sizes",
]
