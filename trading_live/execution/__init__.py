"""Who fills: the sandbox, nobody or the venue; and what is checked before an order is sent."""
