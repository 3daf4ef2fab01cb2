"""The schema that later migrations begin with. An empty database never runs them: its tables are made as
``storage.schema`` describes them."""

revision = "0031"
down_revision = branch_labels = depends_on = None
