"""What every indicator builds on: bars, windows, the registry and the computation."""
