"""Dagster-orchestrated data and model assets for crypto trading."""
