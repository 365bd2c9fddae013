"""Data sets, training, prediction and model bundles. Importing this loads neither LightGBM nor scikit-learn."""

from trading_assets.models.bundle import Bundle, Provenance, load, write
from trading_assets.models.classifier import Classifier
from trading_assets.models.dataset import Dataset, build, join
from trading_assets.models.folds import WalkForwardResult, walk_forward
from trading_assets.models.training import TrainedModel, train

__all__ = [
    "Bundle",
    "Classifier",
    "Dataset",
    "Provenance",
    "TrainedModel",
    "WalkForwardResult",
    "build",
    "join",
    "load",
    "train",
    "walk_forward",
    "write",
]
