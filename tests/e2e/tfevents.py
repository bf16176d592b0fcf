"""TensorBoard event files, read and written from the specification of their format alone, to compare
what `stepdb import` makes of them with."""

import os
import struct


def crc_table():
    table = []
    for byte in range(256):
        for _ in range(8):
            byte = byte >> 1 ^ (0x82F63B78 if byte & 1 else 0)
        table.append(byte)
    return table


TABLE = crc_table()


def masked_crc(data):
    crc = 0xFFFFFFFF
    for byte in data:
        crc = crc >> 8 ^ TABLE[(crc ^ byte) & 0xFF]
    crc ^= 0xFFFFFFFF
    return ((crc >> 15 | crc << 17) + 0xA282EAD8) & 0xFFFFFFFF


# --- Writing ---

def varint(value):
    value &= (1 << 64) - 1
    out = bytearray()
    while value > 127:
        out.append(value & 127 | 128)
        value >>= 7
    out.append(value)
    return bytes(out)


def number_field(number, value):
    return varint(number << 3) + varint(value)


def bytes_field(number, data):
    return varint(number << 3 | 2) + varint(len(data)) + data


def float_field(number, value):
    return varint(number << 3 | 5) + struct.pack("<f", value)


def double_field(number, value):
    return varint(number << 3 | 1) + struct.pack("<d", value)


def record(data):
    head = struct.pack("<Q", len(data))
    return (head + struct.pack("<I", masked_crc(head)) + data
            + struct.pack("<I", masked_crc(data)))


def simple(tag, value):
    return bytes_field(1, tag.encode()) + float_field(2, value)


def tensor(tag, dtype, content=b"", fields=b"", shape=()):
    dims = b"".join(bytes_field(2, number_field(1, size)) for size in shape)
    body = number_field(1, dtype) + bytes_field(2, dims)
    body += bytes_field(4, content) if content else b""
    return bytes_field(1, tag.encode()) + bytes_field(8, body + fields)


def event(wall_time, step, *values):
    summary = b"".join(bytes_field(1, value) for value in values)
    return double_field(1, wall_time) + number_field(2, step) + bytes_field(5, summary)


VERSION = double_field(1, 1.0) + bytes_field(3, b"brain.Event:2")


def write_events(path, events, tail=b""):
    os.makedirs(os.path.dirname(path), exist_ok=True)
    with open(path, "wb") as file:
        for data in events:
            file.write(record(data))
        file.write(tail)
    return path


# --- Reading ---

def read_varint(data, at):
    value = shift = 0
    while True:
        byte = data[at]
        at += 1
        value |= (byte & 127) << shift
        shift += 7
        if byte < 128:
            return value, at


def fields_of(data):
    at = 0
    while at < len(data):
        key, at = read_varint(data, at)
        wire = key & 7
        if wire == 0:
            value, at = read_varint(data, at)
        else:
            if wire == 2:
                size, at = read_varint(data, at)
            else:
                size = {1: 8, 5: 4}[wire]
            value = data[at:at + size]
            at += size
        yield key >> 3, value


def read_float(data):
    """As a double; a NaN keeps its payload."""
    bits = struct.unpack("<I", data)[0]
    if bits & 0x7F800000 == 0x7F800000:
        return struct.unpack("<d", struct.pack(
            "<Q", bits >> 31 << 63 | 0x7FF << 52 | (bits & 0x7FFFFF) << 29))[0]
    return struct.unpack("<f", data)[0]


def scalar_of(value):
    """(tag, scalar): simple values, and float32 tensors in tensor_content, which is what the logs
    of the shared data have; None for others."""
    tag, scalar = "", None
    for number, content in fields_of(value):
        if number == 1:
            tag = content.decode()
        elif number == 2:
            scalar = read_float(content)
        elif number == 8:
            parts = dict(fields_of(content))
            if parts.get(1) == 1 and len(parts.get(4, b"")) == 4:
                scalar = read_float(parts[4])
    return tag, scalar


def read_events(path):
    """(tag, step, value) of every scalar, in the order of the file."""
    with open(path, "rb") as file:
        data = file.read()
    at = 0
    while at < len(data):
        size = struct.unpack_from("<Q", data, at)[0]
        body = data[at + 12:at + 12 + size]
        assert masked_crc(body) == struct.unpack_from("<I", data, at + 12 + size)[0]
        at += size + 16
        step, values = 0, []
        for number, content in fields_of(body):
            if number == 2:
                step = content
            elif number == 5:
                values += [scalar_of(part) for which, part in fields_of(content) if which == 1]
        for tag, scalar in values:
            if scalar is not None:
                yield tag, step, scalar
