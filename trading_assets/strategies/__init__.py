"""The strategy classes that both the backtest and the node run."""
