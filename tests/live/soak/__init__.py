"""The node among faults and deaths: many small worlds by a seed, each with a real node at the local exchange."""
