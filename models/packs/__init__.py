"""Packs: several trainings of the same shapes, which differ in numbers only, advanced as one stacked training.

A small network keeps only a part of a GPU busy, and most of a step is spent on starting its operations; stacked, K
members start as many operations as one. On a processor it does not pay (``benchmarks/packs.py``), and ``probe`` says
whether it does where one is.
"""

from models.packs.embedders import run_epoch, why_not
from models.packs.probe import Probe, probe

__all__ = ["Probe", "probe", "run_epoch", "why_not"]
