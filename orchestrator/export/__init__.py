"""Runs in the formats of others: one module a format, each a pure writer from an open run to files."""
