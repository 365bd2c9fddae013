"""The embedded engine: one DuckDB file with a single writer."""
