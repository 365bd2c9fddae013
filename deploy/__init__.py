"""What runs beside the project: systemd, PostgreSQL, Prometheus, Alertmanager, Grafana."""
