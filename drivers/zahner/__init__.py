"""Zahner's Zennium and IM6 by Thales: its Term obeys by telegrams over TCP, and this program times every step."""
