"""Compares the account while the node runs, on a thread of its own, and hands over what it finds."""
