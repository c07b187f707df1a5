"""What `pesta ingest` does between its arguments and the sources: databases, policies, suggestions."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Any

from pipelines.progress import Progress
from pipelines.sources.accounting import IngestAccount


def ingest_source(
    mapping_name: str, source: str, out: Path, progress: Progress, *, identity: str | None, **options: Any
) -> IngestAccount:
    """Ingest a folder, a file or a database.

    Args:
        mapping_name: a shipped mapping's name or a YAML file.
        source: a path, or a connection string.
        out: the dataset's folder.
        progress: where steps are told; of a database the connection without its password.
        identity: an identity policy's name or file; the default where not given.
        options: passed on to `pipelines.sources.extract.ingest`.

    Raises:
        InputError, ConfigurationError, RejectsError: as `ingest` does.
    """
    from pipelines.identity.policy import load_policy
    from pipelines.sources.databases import fetch_tables, fetched_mapping, hidden, is_connection
    from pipelines.sources.extract import ingest
    from pipelines.sources.mapping import load_mapping

    mapping = load_mapping(mapping_name)
    policy = load_policy(identity)
    if not is_connection(source):
        with progress.step(f"ingesting {source}"):
            return ingest(mapping, Path(source), out, policy=policy, **options)
    out.parent.mkdir(parents=True, exist_ok=True)
    with (
        tempfile.TemporaryDirectory(prefix=f".{out.name}.", suffix=".tables", dir=out.parent) as work,
        progress.step(f"ingesting {hidden(source)}"),
    ):
        folder = fetch_tables(source, mapping, Path(work))
        return ingest(fetched_mapping(mapping), folder, out, policy=policy, **options)


def suggest_file(input_path: Path, out: Path | None) -> str:
    """A suggested mapping: written to a new file where one is named, else given back as text.

    Raises:
        ConfigurationError: the file is there already.
        InputError: nothing is there that could be a table.
    """
    from ontology.errors import ConfigurationError, Problem
    from pipelines.sources.suggesting import suggest_mapping

    if out is not None and out.exists():
        raise ConfigurationError(
            Problem("a file is there already", str(out), next_step="give another name: yours is not replaced")
        )
    text = suggest_mapping(input_path)
    if out is None:
        return text
    out.write_text(text, encoding="utf-8")
    return ""


def told_account(account: IngestAccount, out: Path) -> str:
    """One line about what became of the records."""
    ignored = sum(tally.ignored.total() for tally in account.files.values())
    counts = [f"{count:,} {what.replace('_', ' ')}" for what, count in account.totals.items() if count]
    return (
        f"{account.n_read:,} records read, {ignored:,} ignored by rule, {account.n_rejected:,} rejected; "
        f"{', '.join(counts)}; the account of every file is in {out / 'ingest.json'}"
    )
