"""A server with an HTTP listener, and what asks it."""

import http.client
import json
import re
import socket
import urllib.parse

import prometheus
from support import SECONDS_MAX, Case


class HttpCase(Case):
    def start_http(self, *options, http="127.0.0.1", **named):
        self.start("--http", f"{http}:0", *options, **named)
        line = self.server.process.stdout.readline()
        match = re.fullmatch(rf"http on {re.escape(http)}:(\d+)\n", line)
        self.assertIsNotNone(match, line)
        self.http_port = int(match[1])

    def connect_http(self, host="127.0.0.1"):
        connection = http.client.HTTPConnection(host, self.http_port, timeout=SECONDS_MAX)
        self.addCleanup(connection.close)
        return connection

    def ask_http(self, method, path, body=None, token=None, connection=None, **headers):
        """Status, head and body, as bytes."""
        connection = connection or self.connect_http()
        headers = {name.replace("_", "-"): value for name, value in headers.items()}
        if token is not None:
            headers["Authorization"] = f"Bearer {token}"
        connection.request(method, path, body=body, headers=headers)
        response = connection.getresponse()
        return response.status, response.headers, response.read()

    def get(self, path, token=None, method="GET", connection=None, **headers):
        """The same, the body as text."""
        status, head, body = self.ask_http(method, path, None, token, connection, **headers)
        return status, head, body.decode()

    def post(self, path, message, token=None, **headers):
        """Status and what the answer's JSON says. `message`: bytes, or what is sent as JSON."""
        body = message if isinstance(message, bytes) else json.dumps(message).encode()
        status, head, answer = self.ask_http("POST", path, body, token, **headers)
        self.assertEqual(head["Content-Type"], "application/json", answer[:200])
        return status, json.loads(answer)

    def ask(self, query, token=None, **parameters):
        """The columns of the answer, by name."""
        status, answer = self.post("/api/query", {"query": query, "parameters": parameters}, token)
        self.assertEqual(status, 200, answer)
        return {column["name"]: values
                for column, values in zip(answer["columns"], answer["values"], strict=True)}

    def target(self, **query):
        return "/api/query?" + urllib.parse.urlencode(query)

    def raw(self, data, end=True):
        """What comes back for these bytes until the server closes."""
        with socket.create_connection(("127.0.0.1", self.http_port), SECONDS_MAX) as client:
            client.sendall(data)
            if end:
                try:
                    client.shutdown(socket.SHUT_WR)
                except OSError:
                    pass  # the server has closed already
            answer = b""
            while True:
                try:
                    piece = client.recv(65536)
                except ConnectionResetError:
                    return answer
                if not piece:
                    return answer
                answer += piece

    def metrics(self, token=None):
        """Values by name, or by (name, the value of its label); the text is checked."""
        status, head, text = self.get("/metrics", token)
        self.assertEqual(status, 200, text)
        self.assertEqual(head["Content-Type"], "text/plain; version=0.0.4; charset=utf-8")
        values = {}
        for family in prometheus.parse(text).values():
            for (name, labels), value in family.samples.items():
                values[(name, labels[0][1]) if labels else name] = value
        return values
