"""The recorder: order books and public trades into the spool."""
