"""The simulated exchange: the candles' price path, the engine that walks it, and what came out."""
