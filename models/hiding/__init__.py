"""Hiding a secret in a sanitised image: key, payload and carriers.

Between embedder and extractor lies an 8-bit channel: whatever is released is uint8 (``models.image_quality``).
"""
