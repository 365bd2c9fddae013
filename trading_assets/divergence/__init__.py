"""Live beside a backtest of the same bars."""
