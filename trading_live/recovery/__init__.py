"""What is held at a start: the journal says it, and the venue what became of it since."""
