"""Commands on the node and its journal."""
