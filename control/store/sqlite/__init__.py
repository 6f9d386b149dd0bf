"""The embedded store: SQLite in WAL mode, one writer, group commit. See `store` for the story."""

from control.store.sqlite.store import SqliteStore as SqliteStore
