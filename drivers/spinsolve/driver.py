"""Magritek Spinsolve: XML over TCP, data through a shared folder. Built to the document, not yet met an instrument.

Nobody can ask the console what it does: what it says by itself is followed (``machine``), and what was missed is found by the
key that every run of ours carries in its ``userData``. That key is set just before ``Start`` and taken away when the run is over,
so that no run of anybody else's ever carries it.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Mapping
from dataclasses import replace

from drivers.base import (
    ONE_PULSE,
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
from drivers.errors import InstrumentError, NotReachable, NotSupported, OutcomeUnknown, Rejected, WrongInstrument
from drivers.spinsolve import arrays, folders, protocols, wire
from drivers.spinsolve.archive import Archive
from drivers.spinsolve.folders import Folders
from drivers.spinsolve.link import Link, address_of
from drivers.spinsolve.machine import OVER, Phase, Sign
from drivers.spinsolve.others import Others, begins
from drivers.spinsolve.preparing import Preparation, Prepared
from drivers.spinsolve.scans import LISTEN_S, SLOW_POLL_S, START_S, Follower, Scan
from drivers.spinsolve.stamp import Stamp
from drivers.stream.events import Events
from drivers.stream.tasks import Tasks

ADOPTED_DEADLINE_S = 7 * 86400.0
SAFE_S = 8.0


class Spinsolve:
    """One console. ``address``: ``host[:port][/folder]`` of the computer that Spinsolve runs on (port 13000).

    Options: ``data_root`` (where the console shall save, as it names it), ``path_map`` (its prefixes → ours; a relative one begins
    at the address's folder), ``protocols`` (nucleus → protocol's name, where it cannot be recognised), ``least_repetition_s`` and
    ``least_acquisition_s`` (where this instrument's own protocols can do more than the stock ones), ``leave_folder`` (``DataFolder``
    to leave behind at the end).
    """

    capabilities = ConsoleCapabilities(
        progress=True,
        overhead_s=5.0,  # inferred
        make_safe_s=30.0,
        least_repetition_s=protocols.LEAST_REPETITION_S,
        least_acquisition_s=protocols.LEAST_ACQUISITION_S,
        too_fast_advice=protocols.NO_METAL,
        dummies=False,
        sequences=frozenset({ONE_PULSE, *arrays.ARRAYS}),
        lacks=arrays.LACKS,
        sweeps=frozenset(kind.axis for kind in arrays.ARRAYS.values()),
        even_rows=True,
    )

    @classmethod
    def declared(cls, settings: Settings) -> ConsoleCapabilities:
        """What the rig file alone says: what its protocols can do at their fastest."""
        named = {name: float(settings.options[name]) for name in ("least_repetition_s", "least_acquisition_s") if name in settings.options}
        return replace(cls.capabilities, **named)  # type: ignore[arg-type]

    def __init__(self, settings: Settings, context: Context) -> None:
        options = settings.options
        self.capabilities = self.declared(settings)
        self._name, self._wanted, self._clock = settings.instrument, settings.identity, context.clock
        host, port, start = address_of(settings.address)
        self._folders = Folders(str(options.get("data_root", "")), dict(options.get("path_map") or {}), start)
        self._link = Link(self._name, lambda: context.network.connect(host, port), self._hear, self._on_link)
        self._events = Events(self._name)
        self._follower = Follower(
            self._folders, self._clock, self._events.say, self._link.send, self._on_over, lambda: self._others.running
        )
        self._stamp = Stamp(self._link)
        self._archive = Archive(self._folders, self._clock)
        self._others = Others(self._clock.mono_ns, self._follower.grace_s)
        self._preparation = Preparation(self._link, dict(options.get("protocols") or {}))
        self._leave_folder = str(options.get("leave_folder", ""))
        self._tasks = Tasks(self._name)
        self._prepared: Prepared | None = None
        self._scan: Scan | None = None
        self._met = False
        self._said_time: ClockSample | None = None
        self._started: set[tuple[str, int]] = set()
        self._disowned: set[tuple[str, int]] = set()
        self._halted: set[tuple[str, int]] = set()
        self._stamps: dict[tuple[str, int], dict[str, str]] = {}

    # -------------------------------------------------------------------------------------------------------- connecting

    async def connect(self) -> Identity:
        """Ask who is there and whose key it holds; a run of ours that goes on is followed. Changes nothing.

        Where a key of ours stands in the console, it listens for up to 30 s: it has no other way to know whether that run goes on.
        """
        hardware = await self._link.open()
        try:
            self._check(hardware)
            self._met = True
            self._tasks.spawn(self._link.run())
            held = await self._stamp.held()
            if held.get(folders.KEY):
                await self._adopt(held)
        except InstrumentError:
            await self.release()
            raise
        return Identity("Magritek", hardware.type or "Spinsolve", serial=hardware.hardware, firmware=hardware.software)

    def _check(self, hardware: wire.Hardware) -> None:
        if self._wanted and self._wanted not in {hardware.hardware, hardware.type}:
            found = f"{hardware.type} {hardware.hardware}".strip() or "a Spinsolve without a name"
            raise WrongInstrument(f"{found} answers, not {self._wanted}", instrument=self._name)
        if not hardware.connected:
            advice = "switch the spectrometer on and look at its cable"
            raise NotReachable("Spinsolve runs, but no spectrometer is connected to it", instrument=self._name, advice=advice)

    async def _adopt(self, held: Mapping[str, str]) -> None:
        """A run that an earlier process of ours has started carries its key; filed already, or it goes on."""
        self._stamp.put = True
        key, block, scans = held[folders.KEY], held.get(folders.BLOCK, ""), held.get(folders.SCANS, "")
        scan = Scan(key, int(block) if block.isdigit() else 0, held.get(folders.PROTOCOL, ""), int(scans) if scans.isdigit() else 0)
        now_ns = self._clock.mono_ns()
        scan.phase, scan.quiet, scan.since_ns, scan.seen_ns = Phase.UNKNOWN, True, now_ns, now_ns
        scan.deadline_ns = now_ns + int(ADOPTED_DEADLINE_S * 1e9)
        self._follow(scan)
        await self._follower.decided(scan, Phase.UNKNOWN, LISTEN_S + SLOW_POLL_S + 1.0)
        scan.quiet = False

    async def release(self) -> None:
        """Let go; a running scan goes on. ``leave_folder`` is set back where nothing of ours runs."""
        if self._met and self._leave_folder and self._scan is None and not self._link.lost:
            with contextlib.suppress(InstrumentError):
                await self._link.send(wire.set_data_folder(self._leave_folder, "TimeStamp"))
        await self._tasks.end()
        await self._link.close()
        self._events.close()

    # --------------------------------------------------------------------------------------------------------- preparing

    async def prepare(self, order: AcquisitionOrder) -> ReadBack:
        """Find the protocol, fit the order into its menus, and ask the console what it makes of it. Starts and changes nothing.

        Raises BeyondProtocol where the protocol cannot do it, Rejected while anything acquires.
        """
        wire.plain(order.key)
        self._require_idle()
        self._prepared = None
        if not self._folders.data_root:
            raise self._refusal("the rig file does not say where the console shall save", "options: {data_root: …, path_map: {…}}")
        prepared = await self._preparation.prepare(order)
        await self._clock.in_thread(self._folders.make_root)
        self._prepared = prepared
        return prepared.read_back

    # ---------------------------------------------------------------------------------------------------------- acquiring

    async def start(self, key: str, block: int = 0) -> None:
        """Stamp the key, read it back, go. Raises Rejected when certainly nothing was started, OutcomeUnknown when nobody knows."""
        if (key, block) in self._started:
            return
        prepared = self._prepared
        if prepared is None or prepared.order.key != key or not 0 <= block < prepared.order.blocks:
            raise self._refusal(f"{key} block {block} is not prepared", "prepare it first")
        self._require_idle()
        await self._put_key(prepared, block)
        scan = self._new_scan(prepared, block)
        self._scan = scan
        self._started.add((key, block))
        try:
            await self._go(scan, wire.start(scan.protocol, prepared.setup.options))
        finally:  # whatever becomes of this call, what may run is followed
            if scan.phase is not Phase.FAILED:
                self._follow(scan)

    async def _go(self, scan: Scan, document: bytes) -> None:
        scan.move(Sign.START, self._clock.mono_ns())
        try:
            await self._link.send(document)
        except NotReachable as fault:
            scan.move(Sign.LINK_LOST, self._clock.mono_ns())
            raise OutcomeUnknown(f"the start may have arrived: {fault.message}", instrument=self._name) from fault
        if not await self._follower.decided(scan, Phase.STARTING, START_S):
            scan.move(Sign.TIMER, self._clock.mono_ns())
            raise OutcomeUnknown(f"the console has said nothing for {START_S:.0f} s", instrument=self._name, did="it is looked for")
        if scan.phase is Phase.FAILED:
            self._scan = None
            self._started.discard((scan.key, scan.block))
            await self._stamp.wipe()
            raise self._refusal(f"the console refuses: {scan.complaint}", "usually it is busy with something else: look at its screen")

    async def _put_key(self, prepared: Prepared, block: int) -> None:
        """The folder and the key, just before the start."""
        await self._link.send(wire.set_data_folder(self._folders.data_root))
        held = await self._stamp.set(prepared, block)
        if held is not None:
            raise self._refusal(f"the console does not take our key: it holds {held}", "look for an open dialog on its screen")

    def _new_scan(self, prepared: Prepared, block: int) -> Scan:
        order, setup = prepared.order, prepared.setup
        now_ns, allowed_s = self._clock.mono_ns(), max(order.deadline_s, 1.5 * prepared.expected_s + 60.0)
        return Scan(
            order.key,
            block,
            setup.protocol,
            order.scans,
            nucleus=order.nucleus,
            expected_s=prepared.expected_s,
            one_scan_s=setup.repetition_s,
            rows=max(1, setup.rows),
            deadline_ns=now_ns + int(allowed_s * 1e9),
            seen_ns=now_ns,
        )

    def _follow(self, scan: Scan) -> None:
        self._scan = scan
        self._started.add((scan.key, scan.block))
        self._tasks.spawn(self._follower.follow(scan))

    async def _on_over(self, scan: Scan) -> None:
        """The key is taken away first, and said afterwards."""
        block = (scan.key, scan.block)
        self._stamps[block] = scan.stamps
        self._others.ours_is_over(scan.protocol)
        self._halted |= {block} if scan.halted else set()
        if scan.aborted or scan.stranger:
            self._disowned.add(block)
            self._follower.filed.pop(block, None)
        await self._stamp.wipe()
        if self._scan is scan:
            self._scan = None

    async def fetch(self, key: str, block: int = 0) -> Fetched:
        """Read the files of a block, once nothing has written them for 2 s. Raises Rejected when there are none of ours."""
        if (key, block) in self._disowned:
            raise Rejected(f"the files of {key} block {block} are not to be used", instrument=self._name)
        fetched = await self._archive.fetch(key, block, self._follower.filed.get((key, block)))
        stamps = {**fetched.times.stamps, **self._stamps.get((key, block), {})}
        partial = fetched.partial or (key, block) in self._halted
        return replace(fetched, times=replace(fetched.times, stamps=stamps), partial=partial)

    async def look(self, key: str) -> Fetched:
        """Not possible."""
        raise NotSupported(f"Spinsolve does not show {key} while it runs", instrument=self._name)

    # ---------------------------------------------------------------------------------------------------------- stopping

    async def halt(self, key: str) -> None:
        """Stop after the scan that runs, and keep what there is."""
        await self._follower.stop(self._mine(key), halted=True)

    async def abort(self, key: str) -> None:
        """Stop after the scan that runs; its files lose our key and count as discarded (the console itself cannot discard)."""
        scan = self._mine(key)
        await self._stamp.wipe()
        await self._follower.stop(scan, halted=False)

    async def make_safe(self) -> SafeState:
        """Abort our run and hear that it is over; somebody else's is left alone and said."""
        scan = self._scan
        try:
            if scan is not None and scan.phase not in OVER:
                await self.abort(scan.key)
                await self._over_within(scan, SAFE_S)
            await self._link.ask(wire.hardware_request(), wire.Hardware)
        except InstrumentError as fault:
            return SafeState(Confirmation.UNCONFIRMED, str(fault))
        if self._others.running:
            return SafeState(Confirmation.UNCONFIRMED, f"somebody else's {self._others.protocol} goes on")
        if scan is not None and self._scan is scan:
            return SafeState(Confirmation.UNCONFIRMED, f"it stops after the scan that runs, at most {scan.one_scan_s:.0f} s each")
        return SafeState(Confirmation.CONFIRMED, "the console answers and has said of every run that it is over")

    async def hand_back(self) -> tuple[str, ...]:
        """Our key and folder taken away; the protocols carry their own settings in each start, so there is nothing else of ours."""
        scan = self._scan
        if scan is not None and scan.phase not in OVER:
            return (f"{scan.key} still runs",)
        left = await self._stamp.wipe_and_look()
        folder = "its data folder is ours: what a person measures next is saved there until he chooses another"
        return (*([f"it holds our user data still: {left}"] if left else []), folder)

    async def _over_within(self, scan: Scan, real_s: float) -> None:
        until = asyncio.get_running_loop().time() + real_s
        while self._scan is scan and asyncio.get_running_loop().time() < until:
            await asyncio.sleep(0.1)

    def _mine(self, key: str) -> Scan:
        if self._scan is None or self._scan.key != key:
            raise Rejected(f"{key} is not running", instrument=self._name)
        if self._scan.phase is Phase.FOREIGN_RUN:
            raise self._refusal(
                f"somebody has started {self._others.protocol} meanwhile, which is not ours to stop", "stop it at the console"
            )
        return self._scan

    # ----------------------------------------------------------------------------------------------------------- looking

    async def read_state(self) -> ConsoleState:
        """As far as it was heard; an idle console is asked whether it answers."""
        scan = self._scan
        if self._link.lost:
            key, block = (None, None) if scan is None else (scan.key, scan.block)
            return ConsoleState(ConsoleActivity.UNKNOWN, key, block, detail="the link is lost")
        if scan is not None:
            special = {Phase.UNKNOWN: ConsoleActivity.UNKNOWN, Phase.FOREIGN_RUN: ConsoleActivity.FOREIGN}
            activity = special.get(scan.phase, ConsoleActivity.ACQUIRING)
            return ConsoleState(activity, scan.key, scan.block, scan.scans_done or None, str(scan.phase))
        if self._others.running:
            return ConsoleState(ConsoleActivity.FOREIGN, detail=self._others.protocol)
        try:
            await self._link.ask(wire.hardware_request(), wire.Hardware)
        except InstrumentError as fault:
            return ConsoleState(ConsoleActivity.UNKNOWN, detail=fault.message)
        return ConsoleState(ConsoleActivity.IDLE)

    async def read_clock(self) -> ClockSample | None:
        """The newest time of day that it has said with anything; None before it has said any."""
        return self._said_time

    def events(self) -> AsyncIterator[ConsoleEvent]:
        """The one ordered stream."""
        return self._events.stream()

    # ----------------------------------------------------------------------------------------------------------- hearing

    def _hear(self, message: wire.Message) -> None:
        """Everything that is no reply to a question."""
        if not isinstance(message, wire.Notification):
            return
        now_ns = self._clock.mono_ns()
        self._said_time = wire.clock_of(message.timestamp, now_ns, self._clock.utc_of(now_ns)) or self._said_time
        scan = self._scan
        if scan is not None and self._is_about(message, scan):
            scan.protocol = scan.protocol or message.protocol
            self._follower.hear(scan, message)
        elif not isinstance(message, wire.Error):
            self._hear_of_others(message)

    def _is_about(self, message: wire.Notification, scan: Scan) -> bool:
        """By the protocol's name, which is all there is; after the end of ours a new start is somebody else's."""
        if isinstance(message, wire.Error) and scan.phase is Phase.STARTING:
            return True
        same = message.protocol.casefold() == scan.protocol.casefold()
        anew = begins(message) and scan.over_ns is not None
        return not anew and (same or not message.protocol or not scan.protocol)

    def _hear_of_others(self, message: wire.State | wire.Progress | wire.Completed) -> None:
        self._others.hear(message)
        if self._scan is not None:
            self._follower.move(self._scan, Sign.FOREIGN if self._others.running else Sign.FOREIGN_OVER)

    async def _on_link(self, why: str | None) -> None:
        now_ns, scan = self._clock.mono_ns(), self._scan
        self._follower.lost = why is not None
        if why is not None:
            self._preparation.forget()
            self._others.forget()
            if scan is not None:
                self._follower.move(scan, Sign.LINK_LOST)
            self._events.say(LinkLost(now_ns, why))
            return
        if scan is not None:
            scan.since_ns = now_ns
        self._events.say(LinkRestored(now_ns, "the console answers"))
        self._tasks.spawn(self._after_loss(scan))

    async def _after_loss(self, scan: Scan | None) -> None:
        """What may not have arrived: a stop that is owed, a key to be taken away."""
        if scan is None and self._stamp.put:
            await self._stamp.wipe()
        elif scan is not None and (scan.halted or scan.aborted):
            await self._follower.stop(scan, halted=scan.halted)

    # ----------------------------------------------------------------------------------------------------------- private

    def _require_idle(self) -> None:
        if self._scan is not None:
            raise self._refusal(f"{self._scan.key} is still running", "wait until it is filed")
        if self._others.running:
            raise self._refusal(f"a foreign acquisition: {self._others.protocol}", "wait for it, or ask whoever started it to stop it")

    def _refusal(self, message: str, advice: str) -> Rejected:
        return Rejected(message, instrument=self._name, did="nothing was started", advice=advice)
