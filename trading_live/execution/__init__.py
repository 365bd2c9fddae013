"""What the node holds at the venue: recovered at a start, closed on demand."""
