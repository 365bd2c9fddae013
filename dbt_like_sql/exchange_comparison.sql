-- Each market beside the same symbol on every other exchange, day by day (UTC).
-- Days in [$start, $end), both midnights; only candles that both sides have. Returns are taken from one such candle to
-- the next within the day. Sums run in the order of time, so that the last digit is the same on every run.
WITH source AS (
    SELECT
        market,
        substr(market, strpos(market, ':') + 1) AS symbol,
        timeframe,
        ts,
        close,
        volume
    FROM candles
    WHERE ts >= $start
        AND ts < $end
),

pairs AS (
    SELECT
        mine.market,
        theirs.market AS reference,
        mine.timeframe,
        time_bucket(INTERVAL '1 day', mine.ts) AS day,
        mine.ts,
        (mine.close / theirs.close - 1) * 10000 AS deviation_bps,
        mine.close,
        theirs.close AS reference_close,
        mine.volume,
        theirs.volume AS reference_volume
    FROM source AS mine
    INNER JOIN source AS theirs
        ON theirs.symbol = mine.symbol
        AND theirs.timeframe = mine.timeframe
        AND theirs.ts = mine.ts
        AND theirs.market <> mine.market
),

moves AS (
    SELECT
        market,
        reference,
        timeframe,
        day,
        row_number() OVER each_day AS position,
        close / lag(close) OVER each_day - 1 AS change,
        reference_close / lag(reference_close) OVER each_day - 1 AS reference_change
    FROM pairs
    WINDOW each_day AS (PARTITION BY market, reference, timeframe, day ORDER BY ts)
),

shifts AS (
    SELECT shift FROM (VALUES (-3), (-2), (-1), (0), (1), (2), (3)) AS candles (shift)
),

shifted AS (
    SELECT
        market,
        reference,
        timeframe,
        day,
        position,
        shift,
        change,
        lag(reference_change, shift) OVER (
            PARTITION BY market, reference, timeframe, day, shift
            ORDER BY position
        ) AS earlier_change
    FROM moves
    CROSS JOIN shifts
),

correlations AS (
    SELECT
        market,
        reference,
        timeframe,
        day,
        shift,
        sum(change * earlier_change ORDER BY position)
        / nullif(
            sqrt(
                sum(change * change ORDER BY position) * sum(earlier_change * earlier_change ORDER BY position)
            ),
            0
        ) AS correlation
    FROM shifted
    WHERE change IS NOT NULL
        AND earlier_change IS NOT NULL
    GROUP BY 1, 2, 3, 4, 5
),

lags AS (
    SELECT
        *,
        row_number() OVER (
            PARTITION BY market, reference, timeframe, day
            ORDER BY correlation DESC, abs(shift), shift
        ) AS place
    FROM correlations
    WHERE correlation IS NOT NULL
),

summary AS (
    SELECT
        market,
        reference,
        timeframe,
        day,
        count(ts) AS candles,
        count(*) FILTER (WHERE abs(deviation_bps) > $limit_bps) AS beyond,
        median(deviation_bps) AS median_deviation_bps,
        median(abs(deviation_bps)) AS median_distance_bps,
        max(abs(deviation_bps)) AS largest_distance_bps,
        sum(volume ORDER BY ts) AS volume,
        sum(reference_volume ORDER BY ts) AS reference_volume
    FROM pairs
    GROUP BY market, reference, timeframe, day
)

SELECT
    summary.market AS market,
    summary.reference AS reference,
    summary.timeframe AS timeframe,
    summary.day AS ts,
    summary.candles AS candles,
    summary.median_deviation_bps AS median_deviation_bps,
    summary.median_distance_bps AS median_distance_bps,
    summary.largest_distance_bps AS largest_distance_bps,
    summary.beyond / summary.candles AS share_beyond_limit,
    CAST(lags.shift AS INTEGER) AS lag_candles,
    lags.correlation AS lag_correlation,
    summary.volume / nullif(summary.reference_volume, 0) AS volume_ratio
FROM summary
LEFT JOIN lags
    ON lags.market = summary.market
    AND lags.reference = summary.reference
    AND lags.timeframe = summary.timeframe
    AND lags.day = summary.day
    AND lags.place = 1
ORDER BY 1, 2, 3, 4
