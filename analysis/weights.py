"""Whether a trial still has its weights: a study keeps those of its front and of the best few only."""

from pathlib import Path


def weights_removed(folder: Path, trial: int) -> bool:
    """Return whether a study removed the weights of a trial.

    Args:
        folder: The study folder.
        trial: The trial's number.
    """
    artifacts = folder / "artifacts" / str(trial)
    return (artifacts / "weights_removed.txt").is_file() and not any(artifacts.rglob("*.safetensors"))
