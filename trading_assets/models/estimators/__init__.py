"""Estimators: what learns a probability from rows. One file each; importing this loads no library of theirs."""

from trading_assets.models.estimators import logistic
from trading_assets.models.estimators.contract import Array, Estimator, Files, Fitted
from trading_assets.models.estimators.deep import lstm
from trading_assets.models.estimators.registry import estimator_of, installed, register, registered
from trading_assets.models.estimators.stacking import stack
from trading_assets.models.estimators.trees import catboost, hist_gradient_boosting, lightgbm, xgboost

__all__ = [
    "Array",
    "Estimator",
    "Files",
    "Fitted",
    "catboost",
    "estimator_of",
    "hist_gradient_boosting",
    "installed",
    "lightgbm",
    "logistic",
    "lstm",
    "register",
    "registered",
    "stack",
    "xgboost",
]
