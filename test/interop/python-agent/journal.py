"""The agent's journal of commands that change something. Every method returns after it is on disk."""

import os
import sqlite3

SCHEMA = """
CREATE TABLE IF NOT EXISTS journal (id BLOB NOT NULL);
CREATE TABLE IF NOT EXISTS command (
  id TEXT PRIMARY KEY,
  attempt INTEGER NOT NULL,
  operation BLOB NOT NULL,
  result BLOB,
  retryable INTEGER NOT NULL DEFAULT 0,
  acknowledged INTEGER NOT NULL DEFAULT 0
);
"""


class Journal:
    def __init__(self, folder):
        self._db = sqlite3.connect(os.path.join(folder, "journal.db"), isolation_level=None)
        self._db.row_factory = sqlite3.Row
        self._db.execute("PRAGMA journal_mode = WAL")
        self._db.execute("PRAGMA synchronous = FULL")
        self._db.executescript(SCHEMA)
        if self._db.execute("SELECT id FROM journal").fetchone() is None:
            self._db.execute("INSERT INTO journal VALUES (?)", (os.urandom(16),))
        self.id = self._db.execute("SELECT id FROM journal").fetchone()["id"]

    def find(self, command_id):
        return self._db.execute("SELECT * FROM command WHERE id = ?", (command_id,)).fetchone()

    def begin(self, command_id, attempt, operation):
        self._db.execute(
            "INSERT OR REPLACE INTO command (id, attempt, operation) VALUES (?, ?, ?)",
            (command_id, attempt, operation),
        )

    def finish(self, command_id, result, retryable):
        self._db.execute(
            "UPDATE command SET result = ?, retryable = ? WHERE id = ?", (result, retryable, command_id)
        )

    def acknowledge(self, command_ids):
        """Forgets results, never ids, so that nothing runs again."""
        self._db.executemany(
            "UPDATE command SET result = NULL, acknowledged = 1 WHERE id = ? AND result IS NOT NULL",
            [(command_id,) for command_id in command_ids],
        )

    def running(self):
        return self._db.execute("SELECT * FROM command WHERE result IS NULL AND NOT acknowledged").fetchall()

    def held(self):
        return self._db.execute("SELECT * FROM command WHERE result IS NOT NULL").fetchall()
