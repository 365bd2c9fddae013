"""The bars that the node holds: subscribed to, asked for one request at a time, kept as far back as features look."""
