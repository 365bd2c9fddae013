"""The sources of candles: exchanges, files, Polygon.io and the synthetic sample."""
