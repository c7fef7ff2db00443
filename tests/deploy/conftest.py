"""A real Redis for the tests of this folder; a real PostgreSQL is everybody's."""

from redis_server import redis_server, redis_url  # noqa: F401 - fixtures
