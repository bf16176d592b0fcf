"""A WebSocket as RFC 6455 has it, by hand, so that wrong frames can be sent too."""

import base64
import hashlib
import json
import os
import socket
import struct

from support import SECONDS_MAX

TEXT, BINARY, CLOSE, PING, PONG = 1, 2, 8, 9, 10


class Closed(Exception):
    """The server has closed: `code` and `reason`, or None without a word."""

    def __init__(self, code, reason):
        self.code, self.reason = code, reason
        super().__init__(f"closed with {code}: {reason}")


class WebSocket:
    def __init__(self, port, path="/api/watch", receive_bytes=None, **headers):
        self.socket = socket.socket()
        if receive_bytes is not None:
            self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_bytes)
        self.socket.settimeout(SECONDS_MAX)
        self.socket.connect(("127.0.0.1", port))
        key = base64.b64encode(os.urandom(16)).decode()
        fields = {"Host": f"127.0.0.1:{port}", "Upgrade": "websocket", "Connection": "Upgrade",
                  "Sec-WebSocket-Key": key, "Sec-WebSocket-Version": "13", **headers}
        head = "".join(f"{name}: {value}\r\n" for name, value in fields.items())
        self.socket.sendall(f"GET {path} HTTP/1.1\r\n{head}\r\n".encode())
        self.buffer = b""
        while b"\r\n\r\n" not in self.buffer:
            received = self.socket.recv(65536)
            if not received:
                break
            self.buffer += received
        answer, _, self.buffer = self.buffer.partition(b"\r\n\r\n")
        self.status = int(answer.split(b" ")[1])
        if self.status == 101:
            wanted = hashlib.sha1((key + "258EAFA5-E914-47DA-95CA-C5AB0DC85B11").encode()).digest()
            assert base64.b64encode(wanted) in answer, answer

    def close(self):
        self.socket.close()

    def send_frame(self, kind, payload, masked=True, final=True, length=None):
        length = len(payload) if length is None else length
        head = bytes([(128 if final else 0) | kind])
        mask_bit = 128 if masked else 0
        if length < 126:
            head += bytes([mask_bit | length])
        elif length < 65536:
            head += struct.pack(">BH", mask_bit | 126, length)
        else:
            head += struct.pack(">BQ", mask_bit | 127, length)
        mask = os.urandom(4) if masked else b""
        if masked:
            payload = bytes(byte ^ mask[at % 4] for at, byte in enumerate(payload))
        self.socket.sendall(head + mask + payload)

    def send(self, message):
        self.send_frame(TEXT, json.dumps(message).encode())

    def take(self, count):
        while len(self.buffer) < count:
            received = self.socket.recv(1 << 20)
            if not received:
                raise Closed(None, "")
            self.buffer += received
        taken, self.buffer = self.buffer[:count], self.buffer[count:]
        return taken

    def read(self):
        """What the next message's JSON says."""
        while True:
            first, second = self.take(2)
            length = second & 127
            assert second < 128, "a server does not mask"
            if length == 126:
                length = struct.unpack(">H", self.take(2))[0]
            elif length == 127:
                length = struct.unpack(">Q", self.take(8))[0]
            payload = self.take(length)
            if first & 15 == PING:
                self.send_frame(PONG, payload)
            elif first & 15 == CLOSE:
                raise Closed(struct.unpack(">H", payload[:2])[0] if payload else None,
                             payload[2:].decode())
            elif first & 15 == TEXT:
                assert first & 128, "a message in one frame"
                return json.loads(payload)


class Watched:
    """The rows of a watched query, kept up to date by its messages."""

    def __init__(self):
        self.rows, self.names, self.updates, self.wholes = [], [], 0, 0

    def take(self, message):
        self.names = [column["name"] for column in message["columns"]]
        told = list(zip(*message["values"]))
        keys = message["key_columns"]
        self.updates += 1
        if message["kind"] == "whole":
            self.rows = told
            self.wholes += 1
        else:
            changes = list(zip(message["change"], message["place"], told, strict=True))
            gone = {place for change, place, _ in changes if change == "gone"}
            others = {place: (change, row) for change, place, row in changes if change != "gone"}
            kept = iter([row for place, row in enumerate(self.rows) if place not in gone])
            rows = []
            for place in range(message["rows"]):
                change, row = others.get(place, (None, None))
                old = next(kept) if change != "new" else None
                assert change != "changed" or old[:keys] == row[:keys], (old, row)
                rows.append(old if row is None else row)
            assert next(kept, None) is None
            self.rows = rows
        assert len(self.rows) == message["rows"], message["rows"]
