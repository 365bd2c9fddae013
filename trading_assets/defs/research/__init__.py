"""Features, labels, models and their evaluation, with their checks."""
