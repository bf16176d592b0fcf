"""Stands in for the package `lightning`; see ../README.md."""
