"""What becomes of an open trade: the plan as data, and the one rule of labels, backtest, screening and node."""
