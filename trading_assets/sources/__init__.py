"""Where candles come from: the synthetic sample, files, and any exchange that ccxt knows."""
