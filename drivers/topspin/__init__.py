"""Bruker TopSpin."""
