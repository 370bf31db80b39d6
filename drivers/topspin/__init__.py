"""Bruker TopSpin consoles."""
