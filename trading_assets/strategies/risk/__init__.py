"""Whether an entry may be made, and how large: limits of risk, cash and volume."""
