"""The venues' adapters and their clocks."""
