"""The node itself: engine, supervisor, decisions, and the models that it runs."""
