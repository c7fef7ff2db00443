"""TypedDicts of requests. Needed by type checkers only: no reply imports them."""
