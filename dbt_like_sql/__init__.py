"""SQL models, one SELECT per file; the file name is the table name."""
