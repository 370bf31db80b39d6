"""What every potentiostat driver must do (``drivers.base.Potentiostat``), tried on a bench that knows the truth.

One class of tests for each theme, and all of them as one: subclass ``PotentiostatContract`` and supply the fixture ``bench``
(``drivers.testing.bench``). A theme can be run alone: ``class TestMine(Safety): …``.

    connecting  who is there; nothing moves; what runs is found
    loading     refused means certainly not started; the same key twice is once
    ends        time, both voltages, charge, current; a limit that is met before the first sample
    skipping    end_step, of one step and of the step it names
    lines       a step that waits for the console's line; refused where there is none
    trouble     link lost and back, host gone, clock 200 ppm off, buffer full, switched off and on
    safety      make_safe, confirmed
    truth       sign, charge, open circuit, clock, impedance
    befalling   any fault of an emulator in the middle of a step; it needs the fixture ``fault`` too, so it is subclassed beside the rest
"""

from drivers.testing.potentiostat_contract.befalling import Befalling
from drivers.testing.potentiostat_contract.connecting import Connecting
from drivers.testing.potentiostat_contract.ends import Ends
from drivers.testing.potentiostat_contract.lines import Lines
from drivers.testing.potentiostat_contract.loading import Loading
from drivers.testing.potentiostat_contract.safety import Safety
from drivers.testing.potentiostat_contract.skipping import Skipping
from drivers.testing.potentiostat_contract.stream import Log, check_block, check_order, samples
from drivers.testing.potentiostat_contract.trouble import Trouble
from drivers.testing.potentiostat_contract.truth import Truth

__all__ = [
    "Befalling",
    "Connecting",
    "Ends",
    "Lines",
    "Loading",
    "Log",
    "PotentiostatContract",
    "Safety",
    "Skipping",
    "Trouble",
    "Truth",
    "check_block",
    "check_order",
    "samples",
]


class PotentiostatContract(Connecting, Loading, Ends, Skipping, Lines, Trouble, Safety, Truth):
    """Subclass it and supply the fixture ``bench`` (``drivers.testing.bench``)."""
