"""Benchmarks: each module has ``run() -> list[Measurement]``; ``python -m benchmarks.<module>`` prints its table."""
