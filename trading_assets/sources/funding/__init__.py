"""Funding payments of perpetuals: their sources and their way into the store."""
