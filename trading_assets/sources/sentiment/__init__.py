"""Sentiment scores: their providers and their way into the store."""
