"""Splitting time so that no training label overlaps a test window."""
