"""Rate limits: who has which, and what a request takes of them."""
