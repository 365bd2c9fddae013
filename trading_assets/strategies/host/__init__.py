"""What runs a strategy in the engine: bars come in, pass together, are decided on, and become entries."""
