"""Data sets, training, prediction and model bundles."""
