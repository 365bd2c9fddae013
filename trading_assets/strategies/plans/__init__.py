"""What a trade is to do: its targets, stop and time, all that its exits depend on, as the journal holds it."""
