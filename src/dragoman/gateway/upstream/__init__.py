"""Asking a provider: what is sent, what comes back, how many tokens it is."""
