"""A register behind HTTP, on SQLite: one process, one connection, a transaction for each request.

GET, PUT and POST /KEY read, write, and compare and set. The variables SYNCHRONOUS and JOURNAL_MODE are
SQLite's pragmas: FULL, EXTRA or OFF, and DELETE or WAL.
"""

import http.server
import json
import os
import sqlite3
import threading

database = sqlite3.connect("/var/lib/sqlite/register.db", isolation_level=None, check_same_thread=False)
database.execute("PRAGMA journal_mode = " + os.environ.get("JOURNAL_MODE", "DELETE"))
database.execute("PRAGMA synchronous = " + os.environ["SYNCHRONOUS"])
database.execute("CREATE TABLE IF NOT EXISTS register (key TEXT PRIMARY KEY, value TEXT)")

# A key that is absent holds null.
SWAP = """INSERT INTO register SELECT :key, :value
WHERE coalesce((SELECT value FROM register WHERE key = :key), 'null') = :old
ON CONFLICT (key) DO UPDATE SET value = :value RETURNING value"""

one_at_a_time = threading.Lock()


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def answer(self, statement, **values):
        """Runs a statement with the key and these values, and answers with the first value of its rows."""
        with one_at_a_time:
            rows = database.execute(statement, {"key": self.path, **values}).fetchall()
        body = json.dumps({"found": rows != [], "value": json.loads(rows[0][0]) if rows else None}).encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def asked(self):
        return json.loads(self.rfile.read(int(self.headers["Content-Length"])))

    def do_GET(self):
        self.answer("SELECT value FROM register WHERE key = :key")

    def do_PUT(self):
        self.answer("INSERT OR REPLACE INTO register VALUES (:key, :value)", value=json.dumps(self.asked()["value"]))

    def do_POST(self):
        body = self.asked()
        new, old = json.dumps(body["new"]), json.dumps(body["old"])
        self.answer(SWAP, value=new, old=old)


http.server.ThreadingHTTPServer(("", 8080), Handler).serve_forever()
