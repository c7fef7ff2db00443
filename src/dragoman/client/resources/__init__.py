"""What the API offers, as methods: each builds a call (calls.py) and hands it to its client."""
