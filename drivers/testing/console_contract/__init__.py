"""What every console driver must do (``drivers.base.Console``), tried on a bench with a simulated magnet.

One class of tests for each theme, and all of them as one: subclass ``ConsoleContract`` and supply the fixture ``bench``
(``drivers.testing.bench``). A theme can be run alone: ``class TestMine(Stopping): …``.

    connecting  who is there; nothing starts; a scan outlives the link, or what was scanned does
    preparing   read back, not started; refused means nothing runs; the same key twice is once
    acquiring   started, acquired, filed, fetched; blocks; two nuclei in turn
    stopping    halt keeps, abort discards, make_safe, handed back
    trouble     link lost and back
    looking     the scan in progress, the clock
"""

from drivers.testing.console_contract.acquiring import Acquiring
from drivers.testing.console_contract.connecting import Connecting
from drivers.testing.console_contract.looking import Looking
from drivers.testing.console_contract.preparing import Preparing
from drivers.testing.console_contract.scans import Log, check_fetched, check_files, check_order
from drivers.testing.console_contract.stopping import Stopping
from drivers.testing.console_contract.trouble import Trouble

__all__ = [
    "Acquiring",
    "Connecting",
    "ConsoleContract",
    "Log",
    "Looking",
    "Preparing",
    "Stopping",
    "Trouble",
    "check_fetched",
    "check_files",
    "check_order",
]


class ConsoleContract(Connecting, Preparing, Acquiring, Stopping, Trouble, Looking):
    """Subclass it and supply the fixture ``bench`` (``drivers.testing.bench``)."""
