"""Readers of an open database: the names of its tables, and the rows of one as Arrow batches."""

from __future__ import annotations

from collections.abc import Generator
from contextlib import closing
from typing import Any

BATCH_ROWS = 65_536
"""Rows asked for at a time: memory holds a few such batches of one table."""
Place = tuple[str, str]
"""Schema and table."""
_SYSTEM = {"information_schema", "pg_catalog", "sys", "mysql", "performance_schema", "system"}
_REAL = (
    "CASE WHEN CAST(printf('%!.15g', {0}) AS REAL) = {0}"
    " THEN printf('%!.15g', {0}) ELSE printf('%!.17g', {0}) END"
)
"""The shortest of two texts that reads back as the same double."""


def _is_meant(schema: str, asked: str | None) -> bool:
    return schema.lower() == asked.lower() if asked else schema.lower() not in _SYSTEM


def _quoted(name: str, mark: str = '"') -> str:
    return mark + name.replace(mark, mark * 2) + mark


class AdbcReader:
    """One open ADBC connection.

    Args:
        connection: DBAPI connection of an ADBC driver.
        scheme: the kind of database.
        schema: the only schema that is meant, None for all.
    """

    def __init__(self, connection: Any, scheme: str, schema: str | None) -> None:
        self._connection = connection
        self._scheme = scheme
        self._schema = schema

    def names(self) -> list[Place]:
        """(schema, table) of every table and view, in order, those of the system left out."""
        catalogs = self._connection.adbc_get_objects(depth="tables").read_all().to_pylist()
        found = {
            (schema["db_schema_name"] or "", table["table_name"])
            for catalog in catalogs
            for schema in catalog["catalog_db_schemas"] or ()
            for table in schema["db_schema_tables"] or ()
        }
        return sorted(place for place in found if _is_meant(place[0], self._schema))

    def batches(self, place: Place) -> Generator[Any]:
        """The rows of a table as Arrow record batches, at least one."""
        import pyarrow as pa

        table = ".".join(_quoted(part) for part in place if part)
        with closing(self._connection.cursor()) as cursor:
            if self._scheme == "sqlite":
                cursor.adbc_statement.set_options(**{"adbc.sqlite.query.batch_rows": str(BATCH_ROWS)})
                cursor.execute(f"SELECT {self._texts(cursor, place)} FROM {table}")  # noqa: S608
            else:
                cursor.execute(f"SELECT * FROM {table}")  # noqa: S608
            reader = cursor.fetch_record_batch()
            yield pa.RecordBatch.from_pylist([], schema=reader.schema)
            yield from reader

    def _texts(self, cursor: Any, place: Place) -> str:
        """Every column as text, null as empty: SQLite types cells, and the driver trusts the first rows."""
        cursor.execute(f"PRAGMA table_info({_quoted(place[1])})")
        names = [_quoted(row[1]) for row in cursor.fetchall()]
        text = "CASE typeof({0}) WHEN 'real' THEN " + _REAL + " ELSE CAST({0} AS TEXT) END"
        cell = f"COALESCE({text}, '') AS {{0}}"
        return ", ".join(cell.format(name) for name in names)


class ConnectorxReader:
    """A database read by ConnectorX, one query at a time.

    Args:
        module: connectorx.
        scheme: the kind of database.
        address: the connection string that it is given.
        schema: the only schema that is meant, None for all.
    """

    def __init__(self, module: Any, scheme: str, address: str, schema: str | None) -> None:
        self._module = module
        self._scheme = scheme
        self._address = address
        self._schema = schema

    def names(self) -> list[Place]:
        """(schema, table) of every table and view, in order, those of the system left out."""
        query = "SELECT table_schema AS s, table_name AS t FROM information_schema.tables"
        if self._scheme == "oracle":
            query = "SELECT owner AS s, table_name AS t FROM all_tables"
        table = self._module.read_sql(self._address, query, return_type="arrow")
        pairs = zip(*(column.to_pylist() for column in table.columns), strict=True)
        return sorted((schema, name) for schema, name in pairs if _is_meant(schema, self._schema))

    def batches(self, place: Place) -> Generator[Any]:
        """The rows of a table as Arrow record batches, at least one."""
        import pyarrow as pa

        mark = "`" if self._scheme == "mysql" else '"'
        table = ".".join(_quoted(part, mark) for part in place if part)
        query = f"SELECT * FROM {table}"  # noqa: S608
        reader = self._module.read_sql(
            self._address, query, return_type="arrow_stream", batch_size=BATCH_ROWS
        )
        yield pa.RecordBatch.from_pylist([], schema=reader.schema)
        yield from reader
