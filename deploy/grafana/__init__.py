"""Grafana's dashboards as JSON, and the code that they are made by."""
