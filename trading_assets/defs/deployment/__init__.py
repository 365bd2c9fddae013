"""From an approved version to what the node runs."""
