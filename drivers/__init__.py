"""Instruments of a battery NMR lab: drivers, their emulators, and the digital twin behind them.

Never imports ``orchestrator``. What the orchestrator needs stands in ``base``, ``clock``, ``durable``, ``errors`` and ``registry``.
"""
