"""How sources speak to servers: clients, patience, and one request at a time."""
