"""Missing candles: what is known of each, why it is missing, and asking again."""
