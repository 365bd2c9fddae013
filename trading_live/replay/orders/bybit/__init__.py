"""Bybit v5, linear perpetuals: the same account in another venue's words."""
