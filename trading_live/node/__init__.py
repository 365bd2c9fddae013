"""The node itself: its engine, its supervisor, and where its parts are put together."""
