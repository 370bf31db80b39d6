"""The guard: a process of its own that watches the rig and makes the cell safe when the rig no longer can.

It hears one heartbeat a second. When they stop, when the line breaks, or when samples have gone stale, it first fences
the rig (ends that very process and waits for its death), then opens the instrument, makes the cell safe, reads that
back, alarms, and writes ``guard.jsonl``. It touches nothing before.
"""
