"""Journal, engine and venue side by side: what each says, what differs, and by which rule that is settled."""
