"""The node's journal: an append-only SQLite file that outlives a killed process, and its way into the store.

Every decision, order event, fill and position change is one row (write-ahead log, ``synchronous=FULL``). An event has
an id; recording it again after a restart changes nothing. Checkpoints sum up what the events before them say is open:
a start and ``trading status`` read the rows since the newest one, whatever the journal's age.

A session is one run of market time: it goes on over restarts, and ends only when a replay begins anew and the market's
clock goes back.
"""

from trading_assets.journal.buffered import BufferedJournal
from trading_assets.journal.corrections import TAKEN_BACK, standing
from trading_assets.journal.events import EVENT_ID, KINDS, NODE, PLANS, SHADOW, TABLES
from trading_assets.journal.fees import PriceOf, coin_markets, fee_price, valued
from trading_assets.journal.file import JOURNAL_FILE
from trading_assets.journal.holdings import Fill, Holding, NewestTrades, nothing
from trading_assets.journal.loading import load_journal
from trading_assets.journal.packed_rows import pack, pack_values, unpack
from trading_assets.journal.reader import (
    cursor,
    find_events,
    newest_events,
    newest_seq,
    read_session,
    read_sessions,
    read_since,
    session_events,
)
from trading_assets.journal.shadow import HASH_DIGITS, Answer, shadow_event, shadow_signals
from trading_assets.journal.state import JournalState, MarketState, read_state
from trading_assets.journal.upkeep import JournalReport, check_journal, export_journal
from trading_assets.journal.writer import Journal

__all__ = [
    "EVENT_ID",
    "HASH_DIGITS",
    "JOURNAL_FILE",
    "KINDS",
    "NODE",
    "PLANS",
    "SHADOW",
    "TABLES",
    "TAKEN_BACK",
    "Answer",
    "BufferedJournal",
    "Fill",
    "Holding",
    "Journal",
    "JournalReport",
    "JournalState",
    "MarketState",
    "NewestTrades",
    "PriceOf",
    "check_journal",
    "coin_markets",
    "cursor",
    "export_journal",
    "fee_price",
    "find_events",
    "load_journal",
    "newest_events",
    "newest_seq",
    "nothing",
    "pack",
    "pack_values",
    "read_session",
    "read_sessions",
    "read_since",
    "read_state",
    "session_events",
    "shadow_event",
    "shadow_signals",
    "standing",
    "unpack",
    "valued",
]
