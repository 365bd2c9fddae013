"""The backtest's report: its page, its pictures and its files."""
