"""What a model's scores are worth: calibrated probabilities and prediction sets. One file for each calibrator."""

from trading_assets.models.confidence import isotonic, sigmoid, venn_abers
from trading_assets.models.confidence.conformal import Conformal
from trading_assets.models.confidence.curve import Curve, curve_of, register, registered
from trading_assets.models.confidence.kept import Calibration, Confidence
from trading_assets.models.confidence.out_of_fold import Fit, OutOfFold, measure, out_of_fold

__all__ = [
    "Calibration",
    "Confidence",
    "Conformal",
    "Curve",
    "Fit",
    "OutOfFold",
    "curve_of",
    "isotonic",
    "measure",
    "out_of_fold",
    "register",
    "registered",
    "sigmoid",
    "venn_abers",
]
