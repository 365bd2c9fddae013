"""Commands on features, models and their approval."""
