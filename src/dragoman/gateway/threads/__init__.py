"""Message threads."""
