#!/usr/bin/env python3
"""Writes the start of char-model.csv as other tools would have logged it: a TensorBoard event file, in
which every scalar has a stamp of its own, and JSON lines with nested objects and bare NaN.

    examples/convert_log.py examples/logs/char-model.csv --events run/events.out.tfevents.1
    examples/convert_log.py examples/logs/char-model.csv --jsonl run.jsonl

Plain Python, no packages.
"""

import argparse
import csv
import json
import pathlib
import struct

METRICS = ("train/loss", "train/lr", "train/grad_cosine", "layers/embedding/grad_norm",
           "layers/hidden/grad_norm", "layers/output/grad_norm", "val/loss", "val/accuracy")
STAMP_SECONDS = 0.0005  # between two scalars of a step


def crc32c(data):
    crc = 0xFFFFFFFF
    for byte in data:
        crc ^= byte
        for _ in range(8):
            crc = crc >> 1 ^ (0x82F63B78 if crc & 1 else 0)
    return crc ^ 0xFFFFFFFF


def masked_crc(data):
    crc = crc32c(data)
    return ((crc >> 15 | crc << 17) + 0xA282EAD8) & 0xFFFFFFFF


def record(data):
    """A record of a TensorFlow record file."""
    head = struct.pack("<Q", len(data))
    return b"".join((head, struct.pack("<I", masked_crc(head)), data,
                     struct.pack("<I", masked_crc(data))))


def varint(value):
    out = bytearray()
    while value > 127:
        out.append(value & 127 | 128)
        value >>= 7
    out.append(value)
    return bytes(out)


def message(number, data):
    return varint(number << 3 | 2) + varint(len(data)) + data


def event(time, step, body):
    return record(b"\x09" + struct.pack("<d", time) + b"\x10" + varint(step) + body)


def scalar(tag, value):
    return message(5, message(1, message(1, tag.encode()) + b"\x15" + struct.pack("<f", value)))


def write_events(path, rows):
    path.parent.mkdir(parents=True, exist_ok=True)
    with open(path, "wb") as file:
        file.write(event(rows[0][1], 0, message(3, b"brain.Event:2")))
        for step, time, values in rows:
            for place, (tag, value) in enumerate(values.items()):
                file.write(event(time + place * STAMP_SECONDS, step, scalar(tag, value)))


def nested(values):
    tree = {}
    for tag, value in values.items():
        *outer, name = tag.split("/")
        at = tree
        for part in outer:
            at = at.setdefault(part, {})
        at[name] = value
    return tree


def write_jsonl(path, rows):
    with open(path, "w", encoding="utf-8") as file:
        for step, time, values in rows:
            file.write(json.dumps({"step": step, "timestamp": time, **nested(values),
                                   "evaluated": "val/loss" in values, "phase": "train"}) + "\n")


def read_rows(path, steps):
    """(step, time, {metric: value}) of the first rows."""
    rows = []
    with open(path, encoding="utf-8", newline="") as file:
        for row in csv.DictReader(file):
            if int(row["step"]) >= steps:
                break
            values = {tag: float(row[tag]) for tag in METRICS if row[tag]}
            rows.append((int(row["step"]), float(row["wall_time"]), values))
    return rows


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("log", type=pathlib.Path)
    parser.add_argument("--steps", type=int, default=400)
    parser.add_argument("--events", type=pathlib.Path)
    parser.add_argument("--jsonl", type=pathlib.Path)
    options = parser.parse_args()
    rows = read_rows(options.log, options.steps)
    if options.events:
        write_events(options.events, rows)
    if options.jsonl:
        write_jsonl(options.jsonl, rows)


if __name__ == "__main__":
    main()
