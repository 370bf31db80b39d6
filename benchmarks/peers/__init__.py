"""Peers and ours, each behind the same few verbs; what they import of each other's is copied into their own environments."""
