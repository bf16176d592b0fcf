"""Which stores there are, and which were looked for and cannot be had."""

import importlib

MODULES = ("stepdb", "victoriametrics", "clickhouse", "influxdb", "duckdb", "chdb", "sqlite",
           "postgresql")

# What a user might also pick. "Tried" is what setup's package managers say of them.
NOT_INSTALLABLE = (
    ("TimescaleDB", "no package in Debian 12 (`apt-cache policy postgresql-15-timescaledb`)"),
    ("QuestDB", "no package in Debian 12 (`apt-cache policy questdb`), and npm has clients of it alone"),
    ("InfluxDB 2 and 3", "Debian 12 has 1.6 alone (`apt-cache policy influxdb influxdb2`), npm clients"),
    ("a current ClickHouse server", "Debian 12 has 18.16 of 2018 alone (`apt-cache policy "
     "clickhouse-server`); chDB is the current engine, as a library"),
)


def stores():
    """Classes by name, in the order of the table."""
    found = {}
    for module in MODULES:
        for store in importlib.import_module(f"stores.{module}").STORES:
            found[store.name] = store
    return found
