-- Ranges of missing candles of one market, each between two stored ones.
-- A gap whose first missing candle opens in [$start, $end) is there once a candle after it is stored, be that after
-- $end: windows of any cut give the same gaps. What lies before the first candle or after the last is none.
WITH source AS (
    SELECT
        market,
        timeframe,
        ts + to_minutes($candle_minutes) AS closed,
        lead(ts) OVER (ORDER BY ts) AS next
    FROM candles
    WHERE market = $market
        AND timeframe = $timeframe
        AND ts >= $start - to_minutes($candle_minutes)
        AND ts <= (
            SELECT coalesce(min(ts), $end)
            FROM candles
            WHERE market = $market
                AND timeframe = $timeframe
                AND ts >= $end
        )
)

SELECT
    market,
    timeframe,
    closed AS ts,
    next AS "end",
    CAST((epoch(next) - epoch(closed)) / (60 * $candle_minutes) AS BIGINT) AS candles
FROM source
WHERE next > closed
    AND closed >= $start
    AND closed < $end
ORDER BY closed
