"""Boosted trees: one file for each library, and what their trees are saved and asked as."""
