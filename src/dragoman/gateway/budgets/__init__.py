"""Budgets: whose, how much is left, and who is told."""
