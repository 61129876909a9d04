"""Alembic's environment: the connection comes from `syncd.database.upgrade`."""

from alembic import context

from syncd.crm.tables import metadata

attributes = context.config.attributes
context.configure(
    connection=attributes["connection"],
    target_metadata=metadata,
    version_table=attributes["version_table"],
    render_as_batch=True,
)
with context.begin_transaction():
    context.run_migrations()
