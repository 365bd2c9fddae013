"""Drift: whether what a model reads, says and meets is still what it was trained on."""
