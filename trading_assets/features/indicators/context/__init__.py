"""Indicators of more than the market's own bars: clock, longer bars, a leader, stored series."""
