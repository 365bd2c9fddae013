"""What the node writes down: order events, its own life into the journal, and its heartbeat."""
