"""What everything else stands on: candles, timeframes, sides, errors, files, locks. It knows no other package."""
