"""pytest plugin of the driver contract suite: options and fixtures every driver's tests may use."""

from __future__ import annotations
