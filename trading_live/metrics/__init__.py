"""The node's metrics for Prometheus: counted on the engine's thread, read once a second, served by another."""
