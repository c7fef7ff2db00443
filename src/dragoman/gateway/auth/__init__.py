"""Who calls, and what they may ask: keys, their terms, and wrong ones."""
