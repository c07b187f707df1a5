"""A database named by a connection string: the tables that a mapping reads, fetched into Parquet files."""

from __future__ import annotations

import importlib
import os
import re
from collections.abc import Iterator
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING
from urllib.parse import parse_qsl, unquote, urlencode, urlsplit, urlunsplit

from ontology.errors import ConfigurationError, InputError, MissingExtraError, Problem
from pipelines.sources.database_readers import AdbcReader, ConnectorxReader, Place

if TYPE_CHECKING:
    from pipelines.sources.mapping import Mapping, Table

_CONNECTION = re.compile(
    r"^(?:[a-z][a-z0-9+]+://|(?:sqlite|duckdb|postgres(?:ql)?|snowflake|mssql|mysql|oracle):)"
    r"|(?:^|[\s;:?&])(?:password|pwd)\s*=",
    re.IGNORECASE,
)
_SCHEME = re.compile(r"^[a-z][a-z0-9+]*$")
_HOST = re.compile(r"^(?:[\w.,-]|:\d+|\[[0-9a-fA-F:.]+\])*$")
_GLOB = set("*?[")


@dataclass(frozen=True)
class Driver:
    """How one kind of database is reached.

    Attributes:
        module: what must be installed, imported only when it is used.
        package: the distribution that has it.
        is_file: whether the connection string names a file.
        is_adbc: ADBC, or ConnectorX where no open ADBC driver is to be had.
    """

    module: str
    package: str
    is_file: bool = False
    is_adbc: bool = True


_POSTGRESQL = Driver("adbc_driver_postgresql.dbapi", "adbc-driver-postgresql")
_CONNECTORX = Driver("connectorx", "connectorx", is_adbc=False)
DRIVERS = {
    "sqlite": Driver("adbc_driver_sqlite.dbapi", "adbc-driver-sqlite", is_file=True),
    "duckdb": Driver("adbc_driver_duckdb.dbapi", "duckdb", is_file=True),
    "postgresql": _POSTGRESQL,
    "postgres": _POSTGRESQL,
    "snowflake": Driver("adbc_driver_snowflake.dbapi", "adbc-driver-snowflake"),
    "mssql": _CONNECTORX,
    "mysql": _CONNECTORX,
    "oracle": _CONNECTORX,
}
"""**Source:** Apache Arrow, ADBC driver status; ConnectorX, supported sources."""


def is_connection(text: str) -> bool:
    """Whether an input names a database (`sqlite:///a.db`, `postgresql://...`, `duckdb:a.db`), not a path."""
    return _CONNECTION.search(text) is not None


def hidden(connection: str) -> str:
    """A connection string as it may be shown: without user, password, and parameters that hold secrets."""
    scheme = connection.partition(":")[0].lower()
    if scheme in DRIVERS and DRIVERS[scheme].is_file:
        return f"{scheme}:{_file_of(connection).name}"
    unknown = f"{scheme}://..." if scheme in DRIVERS else "..."
    try:
        parts = urlsplit(connection)
    except ValueError:
        return unknown
    place = parts.netloc.rpartition("@")[2]
    # A password with an unescaped / ? # or @ moves the parts: then none of them is what it seems.
    is_odd = "@" in parts.path + parts.query + parts.fragment or "=" in parts.path
    if is_odd or not place or not _HOST.match(place):
        return unknown
    kept = [(name, value) for name, value in parse_qsl(parts.query) if name.lower() == "schema"]
    return urlunsplit((scheme, place, parts.path, urlencode(kept), ""))


def fetch_tables(connection: str, mapping: Mapping, work: Path) -> Path:
    """Write every table that the mapping reads and the database has as one Parquet file.

    A table of the mapping is found by its own name or by a name of its files without the ending, in any
    letter case; `?schema=NAME` in the connection string says which schema is meant where several have it.

    Args:
        connection: the database.
        mapping: says which tables are wanted; read the folder with `fetched_mapping(mapping)`.
        work: a private folder.

    Returns:
        A folder in `work` with <table of the mapping>.parquet.

    Raises:
        ConfigurationError: the kind of database is not known.
        MissingExtraError: its driver is not installed.
        InputError: it cannot be reached or read, or a table stands in several schemas.
    """
    scheme = connection.partition(":")[0].lower()
    driver = DRIVERS.get(scheme)
    if driver is None:
        raise ConfigurationError(
            Problem(
                "no such kind of database",
                "the connection string",
                scheme if _SCHEME.match(scheme) else "no kind before a colon",
                ", ".join(sorted(DRIVERS)),
                "write it as KIND://USER:PASSWORD@HOST/DATABASE",
            )
        )
    folder = work / "database"
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    with ExitStack() as stack:
        reader = stack.enter_context(_reader(scheme, driver, connection))
        with _told(connection, "list of tables"):
            there = reader.names()
        wanted = {
            name: found for name, table in mapping.tables.items() if (found := _find(name, table, there))
        }
        _check_there(mapping, wanted, connection)
        _check_once(wanted, connection)
        written: dict[Place, Path] = {}
        for name, (place,) in wanted.items():
            target = folder / f"{name}.parquet"
            if place in written:
                target.hardlink_to(written[place])
            else:
                _write(reader, place, target, connection)
                written[place] = target
    return folder


def fetched_mapping(mapping: Mapping) -> Mapping:
    """The mapping whose tables are the files that `fetch_tables` writes."""
    tables = {
        name: table.model_copy(update={"files": (f"{name}.parquet",), "file_columns": None})
        for name, table in mapping.tables.items()
    }
    return mapping.model_copy(update={"tables": tables})


def _find(name: str, table: Table, there: list[Place]) -> list[Place]:
    """Where a table of the mapping stands in the database, by the first of its names that is there."""
    for candidate in (name, *_stems(table)):
        found = [place for place in there if place[1].lower() == candidate.lower()]
        if found:
            return found
    return []


def _check_there(mapping: Mapping, wanted: dict[str, list[Place]], connection: str) -> None:
    problems = [
        Problem(
            f"no table {name} in the database",
            hidden(connection),
            "none",
            ", ".join(dict.fromkeys((name, *_stems(table)))),
            "check the database, its schema and the right to read",
        )
        for name, table in mapping.tables.items()
        if name not in wanted and not table.optional
    ]
    if problems:
        raise InputError(problems)


def _stems(table: Table) -> list[str]:
    """The names that a table may have, of the names of its files."""
    stems = (PurePosixPath(pattern).name.split(".")[0] for pattern in table.files)
    return [stem for stem in stems if not _GLOB & set(stem)]


def _check_once(wanted: dict[str, list[Place]], connection: str) -> None:
    problems = [
        Problem(
            f"table {name} stands in several schemas",
            hidden(connection),
            ", ".join(sorted(schema for schema, _ in places)),
            next_step="name one in the connection string: ...?schema=NAME",
        )
        for name, places in wanted.items()
        if len(places) > 1
    ]
    if problems:
        raise InputError(problems)


def _write(reader: AdbcReader | ConnectorxReader, place: Place, target: Path, connection: str) -> None:
    """One table, batch by batch."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    temporary = target.with_suffix(".tmp")
    with _told(connection, f"table {place[1]}"), closing(reader.batches(place)) as batches:
        first = next(batches)
        with pq.ParquetWriter(temporary, first.schema, compression="lz4") as writer:
            writer.write_table(pa.Table.from_batches([first]))
            for batch in batches:
                writer.write_table(pa.Table.from_batches([batch]))
    temporary.replace(target)


@contextmanager
def _told(connection: str, what: str) -> Iterator[None]:
    """A driver's own message may quote the connection string or a value: only its kind is told."""
    try:
        yield
    except Exception as error:  # each driver has errors of its own
        if isinstance(error, OSError) and error.errno:
            raise
        status = getattr(error, "status_code", None)
        found = getattr(status, "name", None) or type(error).__name__
        raise InputError(
            Problem(
                f"the database cannot be read ({what})",
                hidden(connection),
                str(found).lower(),
                next_step="check host, database, user, password and the right to read",
            )
        ) from None


@contextmanager
def _reader(scheme: str, driver: Driver, connection: str) -> Iterator[AdbcReader | ConnectorxReader]:
    if not driver.is_adbc:
        os.environ.setdefault("RUST_LOG", "off")  # ConnectorX else writes what a server answered to stderr
    try:
        module = importlib.import_module(driver.module)
    except ImportError:
        raise MissingExtraError(
            Problem(
                f"no driver for {scheme} is installed",
                hidden(connection),
                next_step=f"pip install {driver.package}",
            )
        ) from None
    address, schema = _without_schema(connection)
    if not driver.is_adbc:
        yield ConnectorxReader(module, scheme, address, schema)
        return
    target = str(_existing(connection)) if driver.is_file else address
    with ExitStack() as stack:
        with _told(connection, "no connection"):
            opened = stack.enter_context(closing(module.connect(target)))
        yield AdbcReader(opened, scheme, schema)


def _without_schema(connection: str) -> tuple[str, str | None]:
    parts = urlsplit(connection)
    schema = next((value for name, value in parse_qsl(parts.query) if name.lower() == "schema"), None)
    kept = "&".join(part for part in parts.query.split("&") if not part.lower().startswith("schema="))
    return urlunsplit(parts._replace(query=kept)), schema


def _file_of(connection: str) -> Path:
    """The file that sqlite:///relative, sqlite:////absolute, duckdb:file or duckdb:///file names."""
    bare = connection.partition(":")[2].partition("?")[0]
    return Path(unquote(bare.removeprefix("///") if bare.startswith("//") else bare))


def _existing(connection: str) -> Path:
    file = _file_of(connection)
    if not file.is_file():
        raise InputError(Problem("no such database file", str(file), next_step="check the path"))
    return file
