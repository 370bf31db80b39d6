"""Neware cyclers."""
