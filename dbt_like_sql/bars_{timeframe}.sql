-- Closed {timeframe} bars of one market, from its stored candles.
-- A bar opens in [$start, $end) and takes all of its candles, also those after $end: windows of any cut give the same bars.
-- It is closed once a candle that ends at its end, or later, is stored. Volumes are added in order of time, so that
-- the last digit is the same on every run.
WITH source AS (
    SELECT *, time_bucket(INTERVAL '{minutes} minutes', ts) AS bar
    FROM candles
    WHERE market = $market
        AND timeframe = $timeframe
        AND ts >= $start
        AND ts < $end + INTERVAL '{minutes} minutes'
        AND {minutes} % $candle_minutes = 0  -- a coarser candle cannot be split
),

stored AS (
    SELECT max(ts) + to_minutes($candle_minutes) AS known_until
    FROM candles
    WHERE market = $market
        AND timeframe = $timeframe
        AND ts >= $start
)

SELECT
    market,
    bar AS ts,
    bar + INTERVAL '{minutes} minutes' AS known_at,
    arg_min(open, ts) AS open,
    max(high) AS high,
    min(low) AS low,
    arg_max(close, ts) AS close,
    sum(volume ORDER BY ts) AS volume,
    CAST(count(ts) AS INTEGER) AS candles
FROM source
WHERE bar >= $start
    AND bar < $end
    AND bar + INTERVAL '{minutes} minutes' <= (SELECT known_until FROM stored)
GROUP BY market, bar
ORDER BY bar
