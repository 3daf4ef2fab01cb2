"""How many people have to agree on a label of a project."""

import sqlalchemy as sa
from alembic import op

revision = "0024"
down_revision = "0023"
branch_labels = None
depends_on = None

WHOLE = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    op.add_column("projects", sa.Column("voices", WHOLE, server_default="1", nullable=False))
    with op.batch_alter_table("projects") as table:
        table.create_check_constraint(op.f("ck_projects_voices"), "voices BETWEEN 1 AND 3")
