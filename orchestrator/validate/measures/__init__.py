"""How a quantity is found in a run: the words of ``measure:``. Each takes the evidence and its own keys, and returns value and error.

One key of a measure is its name; what it means stands in the docstring of the function of that name. All of them look
at run.h5 alone. A module holds one subject; a function marked ``@measure`` is in the table.
"""

from orchestrator.validate.measures import budget, cell, combine, exchange, images, lines, powder, series, slices, strafi
from orchestrator.validate.measures.words import MEASURES, NotFound, measured

__all__ = [
    "MEASURES",
    "NotFound",
    "budget",
    "cell",
    "combine",
    "exchange",
    "images",
    "lines",
    "measured",
    "powder",
    "series",
    "slices",
    "strafi",
]
