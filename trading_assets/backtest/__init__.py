"""The out-of-sample simulation: engine, metrics, plots and the HTML report."""
