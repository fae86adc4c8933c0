"""Laundering: what a buyer can do to released images without knowing of a secret, and what that leaves of it."""
