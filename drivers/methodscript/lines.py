"""Digital lines: one is high while a step runs, another is waited for before it. Pure.

Both are active high. inferred: that ``get_gpio`` of an output or of a line that nobody drives does no harm, that ``mod_var`` takes
integers, and that lines may be set while the cell is on.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from drivers.base import StepOrder
from drivers.stream import checks

LINES = range(8)
LOOK_EVERY_MS = 5
"""So late at most is the line seen."""
SAY_EVERY_S = 5.0


@dataclass(frozen=True, slots=True)
class Lines:
    """Which bit of ``set_gpio`` is raised, and which of ``get_gpio`` is waited for."""

    out: int = 0
    into: int = 1

    @classmethod
    def of(cls, options: Mapping[str, Any], instrument: str) -> Lines:
        """From a rig's ``trigger_out_line`` and ``trigger_in_line``. Raises Rejected."""
        made = cls(options.get("trigger_out_line", 0), options.get("trigger_in_line", 1))
        for name, line in (("trigger_out_line", made.out), ("trigger_in_line", made.into)):
            if not isinstance(line, int) or line not in LINES:
                raise checks.bad_rig(instrument, f"option {name}: {line!r}", "0 to 7")
        if made.out == made.into:
            raise checks.bad_rig(instrument, f"both trigger lines are {made.out}", "trigger_out_line: 0, trigger_in_line: 1")
        return made

    def begin(self, program: Iterable[StepOrder]) -> list[str]:
        """What the lines are, where a step of the program uses them; the raised one begins low."""
        orders = tuple(program)
        out = [f"set_gpio_cfg 0b{1 << self.out:b} 1", "set_gpio 0b0"] if any(order.ttl_out for order in orders) else []
        return [*out, *([f"set_gpio_cfg 0b{1 << self.into:b} 0", "var g"] if any(order.ttl_in for order in orders) else [])]

    def raised(self, order: StepOrder) -> list[str]:
        """As the step starts."""
        return [f"set_gpio 0b{1 << self.out:b}"] if order.ttl_out else []

    def lowered(self, *orders: StepOrder) -> list[str]:
        """As it ends."""
        return ["set_gpio 0b0"] if any(order.ttl_out for order in orders) else []

    def waited_for(self, order: StepOrder, where: str) -> list[str]:
        """Until the console's line is high, however long that takes; every few seconds the script says that it waits."""
        if not order.ttl_in:
            return []
        look = ["get_gpio g", f"mod_var g {2 << self.into}i"]
        say = f'send_string "STEP_WAIT {where}"'
        often = ["add_var n 1i", f"if n >= {round(SAY_EVERY_S * 1000 / LOOK_EVERY_MS)}i", "store_var n 0i ja", say, "endif"]
        return [say, *look, f"loop g < {1 << self.into}i", *often, f"wait {LOOK_EVERY_MS}m", *look, "endloop", "store_var n 0i ja"]
