"""The Python client of the Messages API. What is public stands in `dragoman` and `dragoman.types`.

Policies (what is sent again, when, with which headers) are generators and plain functions; two short drivers, for
threads and for asyncio, do the waiting. Imports `wire/` and `http/`; the server only inside `local.py`, to run in one
process with it.
"""
