"""From a source into the store: validation, quarantine, revisions and resumption."""
