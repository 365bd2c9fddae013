"""A trade's orders: the plan, the bracket that protects it, and what the journal says of them."""
