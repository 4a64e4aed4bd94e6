"""What is born in clear: the defaults of the server and of its schemas. Pure."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from migrator.model import Inventory
from migrator.planner.posture.code import Code
from migrator.planner.posture.settings import is_on, said
from migrator.planner.privileges import JOURNAL_SCHEMA, SYSTEM_SCHEMAS
from migrator.posture import Area, Place, Posture, State
from migrator.sql.names import quote

_BORN: Final = "a table that is made tomorrow lies in clear, and nobody is told"

SCHEMAS: Final = Code(
    "schemas",
    Area.DEFAULTS,
    "defaults of schemas",
    "`DEFAULT ENCRYPTION` of each schema: a table made there without an `ENCRYPTION` clause has it. The schema of"
    " migrator's journal is not counted: each of its tables says for itself.",
    _BORN,
    "`ALTER SCHEMA s ENCRYPTION = 'Y'`: at once, tables that exist stay as they are. MyISAM and other engines that"
    " cannot encrypt are refused there from then on (error 1178, seen on 9.7.4)",
)
SERVER: Final = Code(
    "server-default",
    Area.DEFAULTS,
    "default of the server",
    "`default_table_encryption`: schemas and general tablespaces that are made without a clause have it.",
    "a schema that is made tomorrow has tables in clear",
    "`SET PERSIST default_table_encryption = ON`; sessions that are open keep what they had",
)
CHECK: Final = Code(
    "privilege-check",
    Area.DEFAULTS,
    "who may make tables in clear",
    "`table_encryption_privilege_check`: with OFF whoever may make a table may say `ENCRYPTION = 'N'`; with ON that"
    " needs `TABLE_ENCRYPTION_ADMIN`, where it is not as the default says.",
    "anybody who may create or alter a table can bring it back into clear",
    "`SET PERSIST table_encryption_privilege_check = ON`; migrator's account needs `TABLE_ENCRYPTION_ADMIN` then",
)
CODES: Final = (SCHEMAS, SERVER, CHECK)

_NAMED: Final = 5


def defaults(inventory: Inventory, posture: Posture) -> Iterator[Place]:
    """The places of what is yet to be made."""
    yield _schemas(inventory)
    on = is_on(posture, "default_table_encryption")
    state = State.ENCRYPTED if on else State.CLEAR
    yield SERVER.place(state, said(posture, "default_table_encryption"), "SET PERSIST default_table_encryption = ON;")
    state = State.OK if is_on(posture, "table_encryption_privilege_check") else State.BAD
    evidence = said(posture, "table_encryption_privilege_check")
    yield CHECK.place(state, evidence, "SET PERSIST table_encryption_privilege_check = ON;")


def _schemas(inventory: Inventory) -> Place:
    passed = SYSTEM_SCHEMAS | {JOURNAL_SCHEMA}
    schemas = [schema for schema in inventory.schemas if schema.name not in passed]
    clear = sorted(schema.name for schema in schemas if not schema.default_encryption)
    if not schemas:
        return SCHEMAS.place(State.UNUSED, "our account sees no schema")
    if not clear:
        return SCHEMAS.place(State.ENCRYPTED, f"DEFAULT ENCRYPTION is YES in all {len(schemas)} schemas")
    more = f" and {len(clear) - _NAMED} more" if len(clear) > _NAMED else ""
    evidence = f"DEFAULT ENCRYPTION is NO in {len(clear)} of {len(schemas)}: {', '.join(clear[:_NAMED])}{more}"
    closes = (f"ALTER SCHEMA {shown(name)} ENCRYPTION = 'Y';" for name in clear)
    return SCHEMAS.place(State.PARTLY if len(clear) < len(schemas) else State.CLEAR, evidence, *closes)


def shown(name: str) -> str:
    """A name as a person types it in a statement."""
    return quote(name).replace("%%", "%")
