"""The indicators, one family of features per module."""
