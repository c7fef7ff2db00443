"""What Alembic executes: the steps, over the connection that `upgrade` was given and inside its transaction."""

from alembic import context

context.configure(connection=context.config.attributes["connection"])
with context.begin_transaction():
    context.run_migrations()
