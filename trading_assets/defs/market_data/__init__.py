"""Market data: candles, funding, sentiment, recordings and their checks."""
