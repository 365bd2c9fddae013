"""What the node did, as assets."""
