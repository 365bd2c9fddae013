"""The compiled loops of the features; importing this loads numba: :func:`windows.kernels`.

Each module holds all that is inlined into its loops: numba's cache notices changes of a loop's own file alone.
"""

from trading_assets.features.framework.kernels.folds import (
    ADAPTIVE,
    AGED,
    DECAYING,
    LINE,
    MAX,
    MEAN_VAR,
    MIN,
    SINCE_MAX,
    SINCE_START,
    SUM,
    WAYS,
    fold,
    fold_one,
)
from trading_assets.features.framework.kernels.loops import (
    bands,
    deviation,
    digits,
    newest,
    ratio,
    share_below,
    shift,
    variance,
)

__all__ = [
    "ADAPTIVE",
    "AGED",
    "DECAYING",
    "LINE",
    "MAX",
    "MEAN_VAR",
    "MIN",
    "SINCE_MAX",
    "SINCE_START",
    "SUM",
    "WAYS",
    "bands",
    "deviation",
    "digits",
    "fold",
    "fold_one",
    "newest",
    "ratio",
    "share_below",
    "shift",
    "variance",
]
