"""Steganalysis: detectors of stego images against the covers of the same sanitiser, and what they tell of one image
and of many."""
