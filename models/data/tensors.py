"""The images of a data set as a tensor that shares their memory; apart from the rest, which knows nothing of torch."""

import warnings

import numpy as np
import torch
from torch import Tensor


def shared_tensor(array: np.ndarray) -> Tensor:
    """Return an array as a tensor without a copy, so that processes which map the same file share one in memory.

    Args:
        array: Any shape and type that torch has; may be read-only.

    Returns:
        Shape and type of ``array``, on the CPU. **Must not be written to**: memory that is mapped for reading ends the
        process. Indexing with a tensor copies and is safe.

    Raises:
        TypeError: If torch has no such type.
    """
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="The given NumPy array is not writable")
        return torch.from_numpy(array)
