"""Addresses in the one form in which they are compared now: domains as UTS 46 spells them in ASCII."""

import sqlalchemy as sa
from alembic import op

from syncd.model.people import normal_address

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None


def upgrade() -> None:
    connection = op.get_bind()
    for name in ("crm_employee", "crm_account", "crm_contact"):
        table = sa.table(name, sa.column("id", sa.String), sa.column("address", sa.String))
        rows = connection.execute(sa.select(table.c.id, table.c.address).order_by(table.c.id)).all()
        taken = {address for _, address in rows}
        for id_, address in rows:
            normal = normal_address(address)
            # an employee's address is nobody else's: a second one keeps its spelling, and is found no more
            if normal != address and not (name == "crm_employee" and normal in taken):
                connection.execute(sa.update(table).where(table.c.id == id_).values(address=normal))
                taken.add(normal)
    people = sa.table("crm_participant", sa.column("activity", sa.String), sa.column("address", sa.String))
    every = connection.execute(sa.select(people.c.address).distinct()).scalars().all()
    for address in every:
        normal = normal_address(address)
        if normal == address:
            continue
        there = sa.select(people.c.activity).where(people.c.address == normal)
        both = (people.c.address == address) & people.c.activity.in_(there)
        connection.execute(sa.delete(people).where(both))
        connection.execute(sa.update(people).where(people.c.address == address).values(address=normal))
