"""Candlestick patterns: TA-Lib's family, from one bar to five, each with a finite memory."""
