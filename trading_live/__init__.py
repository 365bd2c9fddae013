"""The live node: runs deployed models against a venue, knows nothing of Dagster."""
