"""What recorder and node share: listening to books and trades, and the way of what was heard into the spool."""
