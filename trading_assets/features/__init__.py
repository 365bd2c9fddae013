"""Indicators per 15-minute bar: pure functions, each with a declared look-back."""
