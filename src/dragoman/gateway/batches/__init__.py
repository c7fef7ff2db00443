"""Message Batches."""
