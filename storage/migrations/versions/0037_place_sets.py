"""Pictures are found by their seeds. Sets of places take the place of counts of how often they have changed,
and prompts get an index; both are made after all migrations, with their triggers, and filled later."""

from alembic import op

revision = "0037"
down_revision = "0036"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_index("pictures_seed", "pictures", ["seed"])
    op.drop_table("place_versions")
