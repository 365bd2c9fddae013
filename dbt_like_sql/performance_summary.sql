-- How each model did on each node so far, from what the node journalled.
-- A fee in a coin counts at its price of then; fees_unvalued are those that nobody knew one of, which count nothing.
-- A fill or position belongs to the model of the signal that caused it. Sums run in the journal's order, so that the
-- last digit is the same on every run.
WITH owner AS (
    SELECT node, signal_id, max(model) AS model
    FROM signals
    GROUP BY node, signal_id
),

decided AS (
    SELECT
        node,
        coalesce(model, '(none)') AS model,
        max(model_version) AS model_version,
        min(ts) AS first_ts,
        max(ts) AS last_ts,
        count(seq) AS decisions,
        count(*) FILTER (WHERE action = 'enter') AS signals_taken,
        count(*) FILTER (WHERE action = 'refuse') AS signals_refused
    FROM signals
    GROUP BY 1, 2
),

valued AS (
    SELECT
        node,
        seq,
        ts,
        signal_id,
        fee,
        fee * CASE
            WHEN fee_price IS NOT NULL THEN fee_price
            WHEN fee_currency IS NULL THEN 1.0
            WHEN fee_currency = split_part(split_part(market, '/', 2), ':', 1) THEN 1.0
            WHEN fee_currency = split_part(split_part(market, '/', 1), ':', 2) THEN price
        END AS fee_value
    FROM fills
),

filled AS (
    SELECT
        valued.node,
        coalesce(owner.model, '(none)') AS model,
        min(valued.ts) AS first_ts,
        max(valued.ts) AS last_ts,
        count(valued.seq) AS fills,
        sum(valued.fee_value ORDER BY valued.seq) AS fees,
        count(*) FILTER (WHERE valued.fee <> 0 AND valued.fee_value IS NULL) AS fees_unvalued
    FROM valued
    LEFT JOIN owner ON owner.node = valued.node AND owner.signal_id = valued.signal_id
    GROUP BY 1, 2
),

charged AS (
    SELECT node, signal_id, sum(amount ORDER BY ts) AS amount
    FROM live_funding
    GROUP BY node, signal_id
),

funded AS (
    SELECT charged.node AS node, coalesce(owner.model, '(none)') AS model, sum(charged.amount ORDER BY charged.signal_id) AS funding
    FROM charged
    LEFT JOIN owner ON owner.node = charged.node AND owner.signal_id = charged.signal_id
    GROUP BY 1, 2
),

position AS (
    SELECT
        positions.node AS node,
        positions.seq AS seq,
        positions.ts AS ts,
        positions.market AS market,
        positions.event AS event,
        positions.quantity AS quantity,
        positions.realized_pnl + coalesce(charged.amount, 0) AS realized_pnl,
        coalesce(owner.model, '(none)') AS model,
        row_number() OVER (PARTITION BY positions.node, positions.market ORDER BY positions.seq DESC) AS age
    FROM positions
    LEFT JOIN owner ON owner.node = positions.node AND owner.signal_id = positions.signal_id
    LEFT JOIN charged ON charged.node = positions.node AND charged.signal_id = positions.signal_id
),

traded AS (
    SELECT
        node,
        model,
        min(ts) AS first_ts,
        max(ts) AS last_ts,
        count(*) FILTER (WHERE event = 'closed') AS trades_closed,
        count(*) FILTER (WHERE event = 'closed' AND realized_pnl > 0) AS trades_won,
        sum(realized_pnl ORDER BY seq) FILTER (WHERE event = 'closed') AS realized_pnl,
        sum(realized_pnl ORDER BY seq) FILTER (WHERE event = 'closed' AND realized_pnl > 0) AS won,
        sum(realized_pnl ORDER BY seq) FILTER (WHERE event = 'closed' AND realized_pnl < 0) AS lost,
        max(realized_pnl) FILTER (WHERE event = 'closed') AS best_trade,
        min(realized_pnl) FILTER (WHERE event = 'closed') AS worst_trade,
        count(*) FILTER (WHERE age = 1 AND quantity <> 0) AS open_positions
    FROM position
    GROUP BY node, model
),

known AS (
    SELECT node, model FROM decided
    UNION
    SELECT node, model FROM filled
    UNION
    SELECT node, model FROM traded
)

SELECT
    known.node AS node,
    known.model AS model,
    decided.model_version AS model_version,
    least(decided.first_ts, filled.first_ts, traded.first_ts) AS first_ts,
    greatest(decided.last_ts, filled.last_ts, traded.last_ts) AS last_ts,
    coalesce(decided.decisions, 0) AS decisions,
    coalesce(decided.signals_taken, 0) AS signals_taken,
    coalesce(decided.signals_refused, 0) AS signals_refused,
    coalesce(filled.fills, 0) AS fills,
    coalesce(filled.fees, 0) AS fees,
    coalesce(filled.fees_unvalued, 0) AS fees_unvalued,
    coalesce(funded.funding, 0) AS funding,
    coalesce(traded.trades_closed, 0) AS trades_closed,
    coalesce(traded.trades_won, 0) AS trades_won,
    traded.trades_won / nullif(traded.trades_closed, 0) AS win_rate,
    coalesce(traded.realized_pnl, 0) AS realized_pnl,
    coalesce(traded.won, 0) / -traded.lost AS profit_factor,
    traded.best_trade AS best_trade,
    traded.worst_trade AS worst_trade,
    coalesce(traded.open_positions, 0) AS open_positions
FROM known
LEFT JOIN decided ON decided.node = known.node AND decided.model = known.model
LEFT JOIN filled ON filled.node = known.node AND filled.model = known.model
LEFT JOIN funded ON funded.node = known.node AND funded.model = known.model
LEFT JOIN traded ON traded.node = known.node AND traded.model = known.model
ORDER BY node, model
