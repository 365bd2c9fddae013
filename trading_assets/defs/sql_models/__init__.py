"""The SQL models as assets, with their checks and lineage."""
