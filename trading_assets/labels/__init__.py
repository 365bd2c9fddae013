"""What happened after a bar: the outcomes that models learn."""
