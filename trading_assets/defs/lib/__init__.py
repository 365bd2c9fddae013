"""What the stages share: partitions, metadata, resources, results of checks."""
