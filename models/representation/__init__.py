"""Adversarial learning of privacy-preserving, task-oriented representations (Xiao et al. 2020), and its judges."""
