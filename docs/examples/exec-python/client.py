"""A client of the specimen, by Python's own HTTP."""

import http.client
import json

from duress_client import Failed, Keep, Refused, serve


class Client:
    def read(self, ask):
        return self.call(ask, "GET", "?read=" + ask.read)["value"]

    def write(self, ask):
        if ask.value is None:
            self.call(ask, "DELETE", "", {})
        else:
            self.call(ask, "PUT", "", {"value": ask.value})

    def cas(self, ask):
        old, new = ask.value
        if not self.call(ask, "POST", "/cas", {"old": old, "new": new})["swapped"]:
            raise Failed("mismatch")

    def enqueue(self, ask):
        self.of_queue(ask, {"value": ask.value})

    def dequeue(self, ask):
        answer = self.of_queue(ask, {"lease_ms": ask.lease_ms})
        if answer["value"] is not None:
            return Keep(answer["value"], answer["receipt"])  # what the ack needs
        if answer["lent"] > 0:
            raise Failed("all-lent")  # only a queue in which nothing is lent is empty

    def ack(self, ask):
        if not self.of_queue(ask, {"receipt": ask.kept})["done"]:
            raise Failed("lease-over")

    nack = ack

    def status(self, ask):
        return self.request(ask, "GET", "/status")

    def call(self, ask, method, path, body=None):
        return self.request(ask, method, "/kv/" + ask.key + path, body)

    def of_queue(self, ask, body):
        return self.request(ask, "POST", "/queues/%s/%s" % (ask.key, ask.f), body)

    def request(self, ask, method, path, body=None):
        connection = http.client.HTTPConnection(ask.address)
        try:
            connection.connect()
        except OSError as error:
            raise Refused("not sent: %s" % error)  # whoever is not connected has sent nothing
        if body is not None and ask.token is not None:
            body.update(ask.token)
        connection.request(method, path, body and json.dumps(body))
        reply = connection.getresponse()
        answer = json.loads(reply.read())
        connection.close()
        if reply.status == 200:
            return answer
        if answer.get("executed") == "no":
            raise Refused(answer["error"], leader=answer.get("leader"))
        raise RuntimeError("status %d: %s" % (reply.status, answer.get("error")))


serve(Client())
