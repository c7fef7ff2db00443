"""Functions as tools, and the runners that call them. `functions.py` and `runner.py` are what users meet."""
