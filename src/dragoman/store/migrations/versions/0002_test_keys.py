"""Keys whose requests may ask for faults. Those that are there may not."""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"


def upgrade() -> None:
    op.add_column("api_keys", sa.Column("is_test", sa.Boolean, nullable=False, server_default=sa.false()))
