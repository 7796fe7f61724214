"""A client of the program that embeds Hiqlite (node/): SQL statements over HTTP.

It asks the node that it is told to. One that doesn't lead says who does, and Duress asks that one from then on.
"""

import http.client
import json

from duress_client import Failed, Refused, serve

# Seconds for one answer. `client.timeout` of a spec is longer, as it also has to do for the start of this program.
TIMEOUT = 1.5

# The status by which a node says that it is not the leader, and that it has done nothing.
NOT_THE_LEADER = 421

# SQLite counts `?1` by its number, and `$1` by where it first stands.
READ = "SELECT v FROM objects WHERE k = ?1"
WRITE = "INSERT INTO objects (k, v) VALUES (?1, ?2) ON CONFLICT (k) DO UPDATE SET v = excluded.v"
CAS = "UPDATE objects SET v = ?3 WHERE k = ?1 AND v = ?2"
CAS_ABSENT = WRITE + " WHERE v = 'null'"
INCREMENT = (
    "INSERT INTO objects (k, v) VALUES (?1, CAST(?2 AS TEXT))"
    " ON CONFLICT (k) DO UPDATE SET v = CAST(CAST(v AS INTEGER) + ?2 AS TEXT)"
)
APPEND = (
    "INSERT INTO objects (k, v) VALUES (?1, json_array(?2))"
    " ON CONFLICT (k) DO UPDATE SET v = json_insert(v, '$[#]', ?2)"
)
ADD = "INSERT INTO elements (v) VALUES (?1) ON CONFLICT (v) DO NOTHING"
READ_ALL = "SELECT v FROM elements"


class Client:
    """Values are JSON. A key that is absent holds null."""

    def __init__(self):
        self.connections = {}

    def read(self, ask):
        rows = self.query(ask, READ, ask.key)
        return json.loads(rows[0]) if rows else None

    def write(self, ask):
        self.execute(ask, WRITE, ask.key, json.dumps(ask.value))

    def cas(self, ask):
        old, new = (json.dumps(value) for value in ask.value)
        if old == "null":
            changed = self.execute(ask, CAS_ABSENT, ask.key, new)
        else:
            changed = self.execute(ask, CAS, ask.key, old, new)
        if changed != 1:
            raise Failed("mismatch")

    def increment(self, ask):
        self.execute(ask, INCREMENT, ask.key, ask.value)

    def append(self, ask):
        self.execute(ask, APPEND, ask.key, ask.value)

    def add(self, ask):
        self.execute(ask, ADD, json.dumps(ask.value))

    def read_all(self, ask):
        return [json.loads(element) for element in self.query(ask, READ_ALL)]

    def execute(self, ask, sql, *parameters):
        """How many rows a statement changed."""
        return self.call(ask, "/execute", {"sql": sql, "parameters": parameters})["changed"]

    def query(self, ask, sql, *parameters):
        """The rows of a query: by the leader, or, of a local read, by whoever is asked."""
        return self.call(ask, "/query", {"sql": sql, "parameters": parameters, "local": ask.read == "local"})["rows"]

    def call(self, ask, path, body):
        """An answer. What could not be sent, and what the node says it has not done, is refused."""
        if ask.address not in self.connections:
            host, port = ask.address.rsplit(":", 1)
            connection = http.client.HTTPConnection(host, int(port), timeout=TIMEOUT)
            try:
                connection.connect()
            except OSError as error:
                raise Refused("not sent: %s" % error)
            self.connections[ask.address] = connection
        try:
            status, answer = self.exchange(self.connections[ask.address], path, body)
        except Exception:
            del self.connections[ask.address]  # what comes over it next may be the answer to this
            raise
        if status == NOT_THE_LEADER:
            raise Refused(answer["error"], leader=answer["leader"])
        if status != 200:
            raise RuntimeError(answer["error"])
        return answer

    def exchange(self, connection, path, body):
        connection.request("POST", path, json.dumps(body), {"Content-Type": "application/json"})
        response = connection.getresponse()
        return response.status, json.loads(response.read())


serve(Client())
