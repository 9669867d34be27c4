"""Where tuning trials are kept between runs: an Optuna study in SQLite or PostgreSQL.

A trial is written once, in one transaction, when it has been told; nothing half-done is ever stored. A run that was
killed therefore finds exactly the trials that were told, and works out the rest again.
"""

from __future__ import annotations

from typing import Any

from trialstrat.errors import OutputError

#: Seconds a writer waits for another one's transaction.
BUSY_TIMEOUT = 120


def open_storage(url: str, *, create: bool = False) -> Any:
    """Open an Optuna storage by URL (``sqlite:///file.db``, ``postgresql://...``).

    ``create`` makes the tables: the coordinating process does it once, workers never (two processes creating a fresh
    SQLite file at once break it). SQLite runs in WAL mode with synchronous FULL: a told trial survives a power cut.

    Raises
    ------
    OutputError
        The storage cannot be opened.
    """
    from optuna.exceptions import StorageInternalError
    from optuna.storages import RDBStorage
    from sqlalchemy.exc import SQLAlchemyError

    sqlite = url.startswith("sqlite")
    options: dict[str, Any] = {"connect_args": {"timeout": BUSY_TIMEOUT}} if sqlite else {"pool_pre_ping": True}
    try:
        storage = RDBStorage(url, engine_kwargs=options, skip_table_creation=not create)
    except ImportError as problem:
        raise OutputError(
            f"tuning storage: no database driver for {_scheme(url)}; install it or use sqlite"
        ) from problem
    except (SQLAlchemyError, StorageInternalError, RuntimeError, OSError) as problem:
        kind = type(problem).__name__
        raise OutputError(
            f"tuning storage: {_scheme(url)} database cannot be opened ({kind}); check the URL"
        ) from problem
    if sqlite:
        _careful_sqlite(storage.engine)
        # Connections opened by the constructor do not know the settings yet.
        storage.engine.dispose()
    return storage


def _careful_sqlite(engine: Any) -> None:
    """Write-ahead log, full synchronisation, and transactions that take the write lock when they begin.

    A transaction that reads first and writes later cannot wait for another writer (SQLite refuses it at once); taking
    the lock at the start makes it queue.
    """
    from sqlalchemy import event

    @event.listens_for(engine, "connect")
    def _connect(connection: Any, _record: Any) -> None:
        connection.isolation_level = None
        cursor = connection.cursor()
        cursor.execute("PRAGMA journal_mode=WAL")
        cursor.execute("PRAGMA synchronous=FULL")
        cursor.close()

    @event.listens_for(engine, "begin")
    def _begin(connection: Any) -> None:
        connection.exec_driver_sql("BEGIN IMMEDIATE")


def _scheme(url: str) -> str:
    """The kind of database alone: a URL may hold a password."""
    return url.split(":", 1)[0]


def stored_studies(storage: Any, fingerprint: str) -> int:
    """How many tuning studies of this fingerprint a storage holds."""
    import optuna

    return sum(name.startswith(fingerprint) for name in optuna.get_all_study_names(storage))
