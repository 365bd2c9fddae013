"""Auxiliary series of the node: what its models read beside bars, live as the tables will have it."""
