"""A project in Python: its tables as frames, and its own functions on frames in memory; for notebooks above all.

>>> from trading_assets import research
>>> project = research.load()  # doctest: +SKIP
>>> project.labels(label_set="default").group_by("barrier").len()  # doctest: +SKIP

Importing this loads neither Dagster, NautilusTrader, MLflow nor an estimator's library.
"""

from trading_assets.research.in_memory import FramesOver, bars
from trading_assets.research.plots import plot_equity, plot_trades
from trading_assets.research.project import Project, load

__all__ = ["FramesOver", "Project", "bars", "load", "plot_equity", "plot_trades"]
