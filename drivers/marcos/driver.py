"""MaRCoS consoles: single pulses and spin echoes. Built to the public server and client, not yet met an instrument.

The console adds up nothing and keeps nothing: it runs one short sequence, brings its samples and forgets them. So this driver counts
the scans, adds them up and keeps every reply in files of its own, and **a scan ends with this program**: what was scanned until then is
on disk, and is found by its key. Nothing can be stopped within a sequence; none lasts longer than ``program.RUN_S``, or one scan.
"""

from __future__ import annotations

import asyncio
import shutil
import tempfile
from collections.abc import AsyncIterator
from pathlib import Path

from drivers.base import (
    AcquisitionOrder,
    ClockSample,
    Confirmation,
    ConsoleActivity,
    ConsoleCapabilities,
    ConsoleEvent,
    ConsoleState,
    Context,
    Fetched,
    Identity,
    LinkLost,
    LinkRestored,
    ReadBack,
    SafeState,
    Settings,
)
from drivers.errors import InstrumentError, NotReachable, Rejected, WrongInstrument
from drivers.marcos import program, wire
from drivers.marcos.folders import Folders
from drivers.marcos.link import ONE_CLIENT, Link, address_of
from drivers.marcos.program import Setup, Site
from drivers.marcos.scans import Follower, Scan
from drivers.stream.events import Events
from drivers.stream.tasks import Tasks

SAFE_S = 12.0
"""Real seconds in which a sequence that runs must be over."""
SILENT = tuple(wire.direct(buffer, 0) for buffer in (wire.Buffer.TX0_I, wire.Buffer.TX0_Q, wire.Buffer.GATES))


class Marcos:
    """One console. ``address``: ``host[:port]`` (11111).

    Options: ``H1_MHz`` (the magnet's proton frequency), ``data_root`` (where the scans are kept; of an emulator a temporary
    folder where none is named), ``clock_MHz`` (122.88),
    ``nyquist_zone`` (1), ``gate_lead_us``, ``dead_time_us``, ``most_pulse_us``, ``most_duty``, ``group_delay_points``.
    """

    capabilities = ConsoleCapabilities(
        progress=True,
        look=True,
        overhead_s=0.1,  # inferred
        make_safe_s=30.0,
        sequences=frozenset(program.CYCLES),
        lacks=program.LACKS,
        sweeps=frozenset({"TE_ms"}),
        autonomous=False,
    )

    @classmethod
    def declared(cls, _: Settings) -> ConsoleCapabilities:
        """What the rig file alone says: the same of every one."""
        return cls.capabilities

    def __init__(self, settings: Settings, context: Context) -> None:
        self._name, self._wanted, self._clock = settings.instrument, settings.identity, context.clock
        host, port = address_of(settings.address)
        self._site = Site.of(settings.options)
        self._link = Link(self._name, lambda: context.network.connect(host, port), self._on_link)
        root = str(settings.options.get("data_root", ""))
        self._temporary = tempfile.mkdtemp(prefix="marcos-scans-") if settings.simulated and not root else ""
        self._folders = Folders(Path(root or self._temporary).expanduser())
        self._has_root = bool(root or self._temporary)
        self._events = Events(self._name)
        self._follower = Follower(self._link, self._folders, self._clock, self._events.say)
        self._tasks = Tasks(self._name)
        self._setup: Setup | None = None
        self._scan: Scan | None = None
        self._started: set[tuple[str, int]] = set()
        self._unsafe = False
        self._told_lost = False

    # -------------------------------------------------------------------------------------------------------- connecting

    async def connect(self) -> Identity:
        """Ask what answers. Changes nothing."""
        reply = await self._link.open()
        kind, version = str(reply.data.get("are_you_real")), ".".join(map(str, reply.version))
        if self._wanted not in {"", "MaRCoS", kind, version}:
            await self._link.close()
            raise WrongInstrument(f"a MaRCoS server {version} on {kind} answers, not {self._wanted}", instrument=self._name)
        self._tasks.spawn(self._link.run())
        return Identity("MaRCoS", f"marga on {kind}", firmware=version, simulated=kind != "hardware")

    async def release(self) -> None:
        """Let go. A sequence that runs ends by itself; no further one begins, and its samples are lost."""
        await self._tasks.end()
        await self._link.close()
        self._events.close()
        if self._temporary:
            await self._clock.in_thread(shutil.rmtree, self._temporary, True)

    async def _on_link(self, why: str | None) -> None:
        now_ns = self._clock.mono_ns()
        if why is not None:
            self._events.say(LinkLost(now_ns, why))
            return
        if self._unsafe:
            self._tasks.spawn(self._owed())
        self._events.say(LinkRestored(now_ns, "" if self._scan is None else f"{self._scan.key} goes on with the scans that it lacks"))

    # --------------------------------------------------------------------------------------------------------- preparing

    async def prepare(self, order: AcquisitionOrder) -> ReadBack:
        """Work out the sequences and see that the console is idle. Raises Rejected."""
        self._setup = None
        if not self._has_root:
            raise self._refusal("the rig file does not say where its scans are kept", "options: {data_root: FOLDER}")
        self._folders.of(order.key, 0)
        setup = program.setup_of(order, self._site)
        for block in range(order.blocks):
            next(program.runs_of(setup, block))
        await self._require_idle()
        self._setup = setup
        return ReadBack(setup.readable(), setup.deviations)

    async def _require_idle(self) -> None:
        if self._scan is not None:
            raise self._refusal(f"{self._scan.key} is being acquired", "wait, or abort it")
        _, reply = await self._link.ask({"regstatus": 0})
        if (state := wire.state_of(reply.data.get("regstatus"))) != wire.IDLE_STATE:
            raise self._refusal(f"its sequencer is in state {state}, not idle", "`operando console NAME safe` halts and resets it")

    # ---------------------------------------------------------------------------------------------------------- acquiring

    async def start(self, key: str, block: int = 0) -> None:
        """Begin. Raises Rejected when certainly nothing was started."""
        if (key, block) in self._started:
            return
        setup = self._setup
        if setup is None or setup.order.key != key or not 0 <= block < setup.order.blocks:
            raise self._refusal(f"{key} block {block} is not prepared", "prepare it first")
        if self._scan is not None:
            raise self._refusal(f"{self._scan.key} is being acquired", "wait, or abort it")
        if self._link.lost:
            raise NotReachable("the connection is lost", instrument=self._name, did="nothing was started", advice=ONE_CLIENT)
        now_ns, expected_s = self._clock.mono_ns(), program.expected_s(setup, block)
        scan = Scan(setup, block, now_ns + int(max(setup.order.deadline_s, 1.5 * expected_s + 60.0) * 1e9))
        self._scan = scan
        self._started.add((key, block))
        try:
            scan.folder = await self._clock.in_thread(self._folders.begin, key, block, self._header(setup, block))
        except OSError as fault:
            self._forget(scan)
            raise self._refusal(f"nothing can be kept in {self._folders.root}: {fault.strerror}", "look at the disk") from fault
        except InstrumentError:
            self._forget(scan)
            raise
        self._tasks.spawn(self._follower.follow(scan, self._on_over))

    def _forget(self, scan: Scan) -> None:
        self._started.discard((scan.key, scan.block))
        self._scan = None

    def _header(self, setup: Setup, block: int) -> dict[str, object]:
        order = setup.order
        values = [order.values(block, row) for row in range(1 if order.rows is None else len(order.rows))]
        return {
            **setup.readable(),
            "reference_MHz": setup.reference_MHz,
            "group_delay_points": setup.site.group_delay_points,
            "rows": len(values),
            "swept": values,
            "name": order.name,
            "server": list(self._link.version),
        }

    async def _on_over(self, scan: Scan) -> None:
        if self._scan is scan:
            self._scan = None

    async def fetch(self, key: str, block: int = 0) -> Fetched:
        """What is on disk of a block; ``partial`` where it was not finished. Raises Rejected when there is nothing."""
        return await self._clock.in_thread(self._folders.fetch, key, block)

    async def look(self, key: str) -> Fetched:
        """The scans so far."""
        scan = self._mine(key)
        return await self.fetch(key, scan.block)

    # ---------------------------------------------------------------------------------------------------------- stopping

    async def halt(self, key: str) -> None:
        """No further sequence; what was scanned is kept."""
        self._mine(key).halted = True

    async def abort(self, key: str) -> None:
        """No further sequence; what was scanned is thrown away."""
        self._mine(key).discard = "it was aborted"

    async def make_safe(self) -> SafeState:
        """No further sequence; halt and reset, transmitter to zero, and read that the sequencer is idle."""
        scan = self._scan
        self._unsafe = True
        if scan is not None:
            scan.discard = scan.discard or "it was ended to make the console safe"
            await self._over_within(scan)
        try:
            return await self._silence()
        except InstrumentError as fault:
            return SafeState(Confirmation.UNCONFIRMED, str(fault))

    async def _silence(self) -> SafeState:
        await self._link.ask({"halt_and_reset": 0})
        for word in SILENT:
            await self._link.ask({"direct": word})
        _, reply = await self._link.ask({"regstatus": 0})
        if (state := wire.state_of(reply.data.get("regstatus"))) != wire.IDLE_STATE:
            return SafeState(Confirmation.UNCONFIRMED, f"halted and reset, but the sequencer says state {state}")
        self._unsafe = False
        return SafeState(Confirmation.CONFIRMED, "sequencer idle; transmitter and gates were set to zero (they cannot be read)")

    async def _owed(self) -> None:
        """The link is back, and a safe state was asked for while it was away."""
        try:
            await self._silence()
        except InstrumentError:
            return

    async def _over_within(self, scan: Scan) -> None:
        waited_s = 0.0
        while not scan.over and not self._link.lost and waited_s < SAFE_S:
            await asyncio.sleep(0.05)
            waited_s += 0.05

    # ------------------------------------------------------------------------------------------------------------ asking

    async def read_state(self) -> ConsoleState:
        """What it does: ours is known here; while a sequence runs, the console itself could not be asked."""
        scan = self._scan
        if scan is not None:
            return ConsoleState(ConsoleActivity.ACQUIRING, scan.key, scan.block, scan.scans_done)
        try:
            _, reply = await self._link.ask({"regstatus": 0})
        except NotReachable as fault:
            return ConsoleState(ConsoleActivity.UNKNOWN, detail=fault.message)
        state = wire.state_of(reply.data.get("regstatus"))
        if state == wire.IDLE_STATE:
            return ConsoleState(ConsoleActivity.IDLE)
        return ConsoleState(ConsoleActivity.FOREIGN, detail=f"its sequencer is in state {state}: somebody left it so")

    async def read_clock(self) -> ClockSample | None:
        """It has none: all its times are this computer's."""
        return None

    async def hand_back(self) -> tuple[str, ...]:
        """Nothing is left behind: every sequence begins by setting all that it needs."""
        return ()

    def events(self) -> AsyncIterator[ConsoleEvent]:
        """One ordered stream."""
        return self._events.stream()

    def _mine(self, key: str) -> Scan:
        scan = self._scan
        if scan is None or scan.key != key:
            raise self._refusal(f"{key} is not being acquired", "")
        return scan

    def _refusal(self, why: str, advice: str) -> Rejected:
        return Rejected(why, instrument=self._name, did="nothing was started", advice=advice)
