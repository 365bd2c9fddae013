"""The search for parameters: in the older part of the history, judged on the newer one that no trial saw.

Importing this loads neither Optuna nor an estimator's library.
"""

from trading_assets.search.finding import Found, look, search
from trading_assets.search.running import Progress, Step

__all__ = ["Found", "Progress", "Step", "look", "search"]
