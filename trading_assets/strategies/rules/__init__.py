"""Rules: strategies that a person can write down."""
