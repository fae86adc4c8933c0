"""Hiding a secret in a sanitised image: key, payload, carriers and the 8-bit channel between embedder and extractor."""
