"""The Spinsolve program as its clients see it: messages, protocols, runs, files."""
