"""Faces and their labels, drawn or read from a folder, checked, and divided into train, validation and test."""

from models.data.dataset import DataError, FaceData, face_data
from models.data.folder import FolderConfig, load_folder
from models.data.loading import data_problems, load_faces, load_splits
from models.data.procedural import ProceduralConfig, procedural_faces
from models.data.splits import SPLITS, SplitConfig, Splits, split_faces

__all__ = [
    "SPLITS",
    "DataError",
    "FaceData",
    "FolderConfig",
    "ProceduralConfig",
    "SplitConfig",
    "Splits",
    "data_problems",
    "face_data",
    "load_faces",
    "load_folder",
    "load_splits",
    "procedural_faces",
    "split_faces",
]
