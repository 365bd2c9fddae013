"""The server engine: PostgreSQL, with TimescaleDB where it is installed."""
