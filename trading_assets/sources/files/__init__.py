"""Reading recorded files: formats, columns and times, whatever they hold."""
