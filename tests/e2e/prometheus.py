"""A strict reader of Prometheus' text format 0.0.4, written from its specification: names, types,
labels, numbers, the order of lines, and what histograms promise."""

import math
import re

NAME = r"[a-zA-Z_:][a-zA-Z0-9_:]*"
LABEL = r'([a-zA-Z_][a-zA-Z0-9_]*)="((?:[^"\\\n]|\\["\\n])*)"'
SAMPLE = re.compile(rf"({NAME})(?:\{{((?:{LABEL})(?:,{LABEL})*)\}})? (\S+)")
TYPES = ("counter", "gauge", "histogram")


class Family:
    def __init__(self, name, text):
        self.name, self.help, self.type = name, text, None
        self.samples = {}  # (name, labels as sorted pairs): value


def number(text):
    if text in ("+Inf", "-Inf", "NaN"):
        return float(text.replace("Inf", "inf"))
    assert re.fullmatch(r"-?(\d+(\.\d*)?|\.\d+)(e[+-]?\d+)?", text), f"no number: {text!r}"
    return float(text)


def parse(text):
    """Families by name; AssertionError naming the line that is wrong."""
    assert text.endswith("\n"), "the last line does not end"
    families, current = {}, None
    for line in text[:-1].split("\n"):
        if line.startswith("# HELP "):
            _, _, name, words = line.split(" ", 3)
            assert re.fullmatch(NAME, name) and words.strip() == words and words, line
            assert name not in families, f"{name} comes twice"
            current = families[name] = Family(name, words)
        elif line.startswith("# TYPE "):
            _, _, name, kind = line.split(" ")
            assert current and name == current.name and current.type is None, line
            assert kind in TYPES and not current.samples, line
            current.type = kind
        else:
            match = SAMPLE.fullmatch(line)
            assert match, f"no sample: {line!r}"
            name, labels, value = match[1], match[2], number(match[match.lastindex])
            pairs = tuple(sorted(re.findall(LABEL, labels or "")))
            assert len({label for label, _ in pairs}) == len(pairs), line
            suffixes = ("_bucket", "_sum", "_count") if current.type == "histogram" else ("",)
            assert name in [current.name + suffix for suffix in suffixes], \
                f"{line!r} within {current.name}"
            assert (name, pairs) not in current.samples, f"{line!r} comes twice"
            current.samples[name, pairs] = value
    for family in families.values():
        check(family)
    return families


def check(family):
    assert family.type and family.samples, f"{family.name} has no type or no sample"
    if family.type == "counter":
        assert family.name.endswith("_total"), f"{family.name}: a counter ends in _total"
        assert all(value >= 0 for value in family.samples.values()), family.name
    else:
        assert not family.name.endswith("_total"), f"{family.name}: no counter ends in _total"
    if family.type == "histogram":
        assert family.name.endswith("_seconds"), f"{family.name}: no unit"
        buckets = [(number(dict(labels)["le"]), value)
                   for (name, labels), value in family.samples.items() if name.endswith("_bucket")]
        assert buckets == sorted(buckets), f"{family.name}: buckets out of order"
        counts = [count for _, count in buckets]
        assert counts == sorted(counts), f"{family.name}: buckets do not add up"
        assert buckets[-1][0] == math.inf, f"{family.name}: no +Inf"
        assert buckets[-1][1] == family.samples[family.name + "_count", ()], family.name
        assert family.samples[family.name + "_sum", ()] >= 0, family.name
