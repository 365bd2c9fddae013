"""What is exported as Prometheus metrics, as plain numbers: knows no Prometheus, no engine and no Dagster."""
