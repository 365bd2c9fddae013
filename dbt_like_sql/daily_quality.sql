-- How good the candles of one market are, day by day (UTC).
-- A day that opens in [$start, $end) takes all of its candles, also those after $end: windows of any cut give the same
-- days. Days run from the market's first stored candle to its newest; one without any candle has its row too. A candle
-- is compared with the one right before it; where that is missing, with nothing.
WITH known AS (
    SELECT
        min(ts) AS first_ts,
        max(ts) + to_minutes($candle_minutes) AS known_until
    FROM candles
    WHERE market = $market
        AND timeframe = $timeframe
),

days AS (
    SELECT unnest(generate_series(
        time_bucket(INTERVAL '1 day', greatest($start, first_ts)),
        least($end, known_until) - INTERVAL '1 microsecond',
        INTERVAL '1 day'
    )) AS day
    FROM known
    WHERE first_ts IS NOT NULL
),

expected AS (
    SELECT
        day,
        CAST(
            (epoch(least(day + INTERVAL '1 day', known_until)) - epoch(greatest(day, first_ts)))
            / (60 * $candle_minutes) AS BIGINT
        ) AS candles
    FROM days
    CROSS JOIN known
    WHERE day >= $start
        AND day < $end
),

source AS (
    SELECT
        ts,
        time_bucket(INTERVAL '1 day', ts) AS day,
        high,
        low,
        close,
        volume,
        CASE
            WHEN lag(ts) OVER (ORDER BY ts) = ts - to_minutes($candle_minutes) THEN lag(close) OVER (ORDER BY ts)
        END AS close_before
    FROM candles
    WHERE market = $market
        AND timeframe = $timeframe
        AND ts >= $start - to_minutes($candle_minutes)
        AND ts < $end + INTERVAL '1 day'
),

moves AS (
    SELECT
        ts,
        day,
        volume,
        close / nullif(close_before, 0) - 1 AS change,
        CASE WHEN high = low AND close = close_before THEN 0 ELSE 1 END AS moved
    FROM source
),

runs AS (
    SELECT
        day,
        moved,
        sum(moved) OVER (PARTITION BY day ORDER BY ts) AS run
    FROM moves
),

run_lengths AS (
    SELECT
        day,
        count(*) FILTER (WHERE moved = 0) AS candles
    FROM runs
    GROUP BY day, run
),

frozen AS (
    SELECT
        day,
        max(candles) AS longest
    FROM run_lengths
    GROUP BY day
),

summary AS (
    SELECT
        day,
        count(ts) AS candles,
        count(*) FILTER (WHERE volume = 0) AS silent,
        max(abs(change)) AS largest,
        median(change) AS middle
    FROM moves
    GROUP BY day
),

scale AS (
    SELECT
        moves.day,
        max(abs(moves.change - summary.middle)) AS farthest,
        median(abs(moves.change - summary.middle)) AS mad
    FROM moves
    INNER JOIN summary ON summary.day = moves.day
    GROUP BY moves.day
),

quarantined AS (
    SELECT
        time_bucket(INTERVAL '1 day', ts) AS day,
        count(ts) AS candles
    FROM candles_quarantine
    WHERE released_at IS NULL
        AND market = $market
        AND timeframe = $timeframe
        AND ts >= $start
        AND ts < $end + INTERVAL '1 day'
    GROUP BY 1
),

revised AS (
    SELECT
        time_bucket(INTERVAL '1 day', ts) AS day,
        count(ts) AS candles
    FROM candle_revisions
    WHERE market = $market
        AND timeframe = $timeframe
        AND ts >= $start
        AND ts < $end + INTERVAL '1 day'
    GROUP BY 1
)

SELECT
    CAST($market AS VARCHAR) AS market,
    CAST($timeframe AS VARCHAR) AS timeframe,
    expected.day AS ts,
    expected.candles AS candles_expected,
    coalesce(summary.candles, 0) AS candles_stored,
    expected.candles - coalesce(summary.candles, 0) AS candles_missing,
    summary.silent / summary.candles AS zero_volume_share,
    coalesce(frozen.longest, 0) AS longest_frozen_run,
    coalesce(quarantined.candles, 0) AS candles_quarantined,
    coalesce(revised.candles, 0) AS candles_revised,
    summary.largest AS largest_return,
    scale.farthest / nullif(1.4826 * scale.mad, 0) AS largest_robust_z
FROM expected
LEFT JOIN summary ON summary.day = expected.day
LEFT JOIN scale ON scale.day = expected.day
LEFT JOIN frozen ON frozen.day = expected.day
LEFT JOIN quarantined ON quarantined.day = expected.day
LEFT JOIN revised ON revised.day = expected.day
ORDER BY expected.day
