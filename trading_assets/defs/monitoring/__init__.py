"""Whether the models still meet what they were trained on, as assets."""
