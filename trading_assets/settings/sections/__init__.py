"""The sections of the settings file: one module for each that belongs together."""
