"""Commands on candles and the store."""
