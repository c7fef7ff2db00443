"""A row for every request: how it comes about, and how it gets into the store."""
