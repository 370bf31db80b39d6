"""Bruker TopSpin: an agent of ours inside TopSpin obeys, the data are read from its folder.

What TopSpin says is never taken for what it did: parameters are read back, and an acquisition is over when both sums of its audit trail
hold. Losing the link never stops a scan. Built to the document, not yet met an instrument.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

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
from drivers.errors import DeviceFault, InstrumentError, NotReachable, NotSupported, OutcomeUnknown, Rejected, WrongInstrument
from drivers.stream.events import Events
from drivers.stream.tasks import Tasks
from drivers.topspin import arrays, states, wire
from drivers.topspin.bridge import LONG_REPLY_S, Bridge, Door, PullBridge
from drivers.topspin.folders import Folders, Known
from drivers.topspin.parameters import LACKS, LOCKED_NAMES, SEQUENCES, SWEEPS
from drivers.topspin.preparing import Preparation
from drivers.topspin.scans import Follower, Scan

ADOPTED_DEADLINE_S = 7 * 86400.0
DIALOG_S = 30.0
BEAT_OLD_S = 7.0
"""The agent writes its sign of life every 5 s."""
POLL_S = 0.5
CONTROL_TRIES = 3
PULLED = frozenset({"prepare", "start", "fetch"})
ON_ITS_WAY = frozenset({"started", "stopping", "acquired"})
SAFE_WITHIN_S = 12.0


class TopSpin:
    """One console. ``address``: host:port of the agent.

    Options: ``path_map`` (TopSpin's prefixes → ours, where its data folder is a share), ``dataset`` (the name below the agent's root
    that new data sets get), ``key_file``, ``user`` (who must be logged in), ``limits``, ``unlock``, ``mode`` (``pull``: the address is
    ours, and the AU program calls), ``route`` (``python-api``: Bruker's own Python interface, ``drivers.topspin.beside``).
    """

    capabilities = ConsoleCapabilities(  # inferred: zg needs 1 to 3 s to begin, and each row of an array is a zg
        overhead_s=3.0, row_overhead_s=3.0, make_safe_s=20.0, sequences=SEQUENCES, sweeps=SWEEPS, lacks=LACKS, edge=True
    )

    @classmethod
    def declared(cls, settings: Settings) -> ConsoleCapabilities:
        """What the rig file alone says: pulse and power are the site's own but for what it unlocks; who is called can stop nothing."""
        commands = PULLED if settings.options.get("mode") == "pull" else cls.capabilities.commands
        unlock = set(settings.options.get("unlock") or {})
        sweeps = SWEEPS | (unlock & set(arrays.NAMES))
        return replace(cls.capabilities, commands=commands, locked=frozenset(LOCKED_NAMES) - unlock, sweeps=sweeps)

    def __init__(self, settings: Settings, context: Context) -> None:
        self.capabilities = self.declared(settings)
        self._settings, self._options, self._name = settings, settings.options, settings.instrument
        self._clock = context.clock
        self._context = context
        self._folders = Folders("", dict(self._options.get("path_map") or {}))
        self._events = Events(self._name)
        self._bridge: Bridge | None = None
        self._follower: Follower | None = None
        self._tasks = Tasks(self._name)
        self._lost = ""
        self._offset_s = 0.0
        self._known: dict[tuple[str, int], Known] = {}
        self._preparation = Preparation(self._options, self._known)
        self._order: AcquisitionOrder | None = None
        self._scan_s = 0.0
        self._started: set[tuple[str, int]] = set()
        self._disowned: set[tuple[str, int]] = set()
        self._scan: Scan | None = None
        self._unsafe = False

    # -------------------------------------------------------------------------------------------------------- connecting

    async def connect(self) -> Identity:
        """Meet the agent and see its data folder; a scan of ours that runs is followed."""
        door = await self._clock.in_thread(self._door)
        bridge = self._bridge = self._make_bridge(door)
        greeting = await self._meet(bridge)
        try:
            self._check_identity(greeting)
            self._folders = replace(self._folders, root=wire.safe_path(str(greeting.get("root", ""))))
            await self._check_folder()
        except InstrumentError:
            await self.release()
            raise
        self._offset_s = float(greeting.get("t_unix", 0.0)) - self._clock.utc_ns() / 1e9
        self._follower = Follower(self._name, bridge, self._folders, self._clock, self._events.put, self._on_over)
        self._adopt(greeting)
        self._tasks.spawn(bridge.run())
        return Identity("Bruker", "TopSpin", serial=str(greeting.get("host", "")), firmware=str(greeting.get("topspin", "")))

    async def _meet(self, bridge: Bridge) -> Mapping[str, Any]:
        """The agent may not have noticed yet that whoever had control has just left."""
        for _ in range(CONTROL_TRIES):
            try:
                return await bridge.open()
            except Rejected as refusal:
                if refusal.received != "controlled":
                    raise
            await asyncio.sleep(POLL_S)
        return await bridge.open()

    def _make_bridge(self, door: Door) -> Bridge:
        if self._options.get("mode", "listen") == "pull":
            return PullBridge(self._name, door, self._context, self._on_event, self._on_link, lambda: self._scan is not None)
        if self._options.get("route") == "python-api":
            from drivers.topspin.beside import BesideBridge

            return BesideBridge(self._name, door, self._options, self._context, self._on_event, self._on_link)
        return Bridge(self._name, door, self._context, self._on_event, self._on_link)

    def _door(self) -> Door:
        host, _, port = self._settings.address.rpartition(":")
        if not host or not port.isdigit():
            raise NotReachable(f"{self._settings.address!r} is no address", instrument=self._name, advice="write host:port of the agent")
        try:
            key_file = self._options.get("key_file")
            secret = Path(key_file).expanduser().read_bytes().strip() if key_file else None
        except OSError as fault:
            raise NotReachable(f"the key file cannot be read: {fault}", instrument=self._name, advice=states.KEY.advice) from fault
        return Door(host, int(port), secret)

    def _check_identity(self, greeting: Mapping[str, Any]) -> None:
        wanted, found = self._settings.identity, str(greeting.get("host", ""))
        if wanted and wanted != found:
            raise WrongInstrument(f"the agent runs on {found}, not on {wanted}", instrument=self._name)
        user, logged_in = self._options.get("user"), str(greeting.get("user", ""))
        if user and user != logged_in:
            text = f"{states.LOCKED.name}: TopSpin belongs to {logged_in}, not to {user}"
            raise WrongInstrument(text, instrument=self._name, advice=states.LOCKED.advice)

    async def _check_folder(self) -> None:
        """Before a night, not at its end."""
        if not await self._clock.in_thread(self._folders.is_visible):
            text = f"TopSpin's data folder {self._folders.root} is not visible here as {self._folders.local(self._folders.root)}"
            raise NotReachable(text, instrument=self._name, advice="mount it, and map its name with options.path_map in the rig file")

    def _adopt(self, greeting: Mapping[str, Any]) -> None:
        """A scan that an earlier process of ours started."""
        if greeting.get("state") in {"running", "stopping"} and greeting.get("key"):
            key, block, target = str(greeting["key"]), int(greeting.get("block", 0)), str(greeting.get("target", ""))
            scan = self._scan_of(key, block, target, ADOPTED_DEADLINE_S)
            self._follow(scan)
            scan.hear("started")

    async def release(self) -> None:
        """Let go of the agent; a running scan goes on."""
        await self._tasks.end()
        if self._bridge is not None:
            await self._bridge.shut()
        self._events.close()

    # --------------------------------------------------------------------------------------------------------- acquiring

    async def prepare(self, order: AcquisitionOrder) -> ReadBack:
        """Clone the site's template into fresh experiment numbers, set what may be set, read it back. Raises Rejected while one runs."""
        setups = self._preparation.setups(order)
        self._require_none_of_ours()
        self._order = None
        prepared = await self._preparation.prepare(order, setups, self._line, self._folders)
        self._order, self._scan_s = order, prepared.scan_s
        return prepared.read_back

    async def start(self, key: str, block: int = 0) -> None:
        """RE and zg, by the agent. Raises Rejected when certainly nothing was started."""
        if (key, block) in self._started:
            return
        order = self._order
        if order is None or order.key != key or not 0 <= block < order.blocks:
            raise self._refusal(f"{key} block {block} is not prepared", "prepare it first")
        self._require_none_of_ours()
        bridge, rows = self._line(), arrays.numbers(order, block)
        scan, *further = (self._scan_of(key, number, self._known[key, number].target, order.deadline_s) for number in rows)
        self._follow(scan, further)
        request = {"key": key, "block": scan.block, "target": scan.target, "deadline_s": order.deadline_s}
        try:
            await bridge.ask("start", within_s=LONG_REPLY_S, **request)
        except OutcomeUnknown:
            scan.doubtful = True
            raise
        except DeviceFault as fault:
            scan.doubtful = fault.received == "dialog_suspected"
            if scan.doubtful:  # it starts as soon as somebody closes the dialog
                raise OutcomeUnknown(fault.message, instrument=self._name, sent="start", advice=fault.advice) from fault
            await self._forget(scan)
            raise Rejected(fault.message, instrument=self._name, sent="start", did="nothing was started", advice=fault.advice) from fault
        except InstrumentError:
            await self._forget(scan)
            raise
        scan.hear("started")

    def _scan_of(self, key: str, block: int, target: str, deadline_s: float) -> Scan:
        now_ns = self._clock.mono_ns()
        order = self._order
        asked = {} if order is None or order.key != key else {"NS": order.scans, "NUC1": order.nucleus}
        scan = Scan(key, block, target, deadline_ns=now_ns + int(deadline_s * 1e9), asked_ns=now_ns, asked=asked)
        if asked and order is not None and order.edge_within_s:
            scan.after_edge_s = (order.scans + order.dummies) * self._scan_s
        return scan

    def _follow(self, scan: Scan, further: Sequence[Scan] = ()) -> None:
        assert self._follower is not None
        self._scan = scan
        self._started.add((scan.key, scan.of))
        scan.task = self._tasks.spawn(self._follower.follow(scan, further, self._turn))

    def _turn(self, scan: Scan) -> None:
        """The next row of what runs."""
        self._scan = scan

    async def _forget(self, scan: Scan) -> None:
        """It was never started: nobody follows it, and it may be asked for again."""
        self._scan = None
        self._started.discard((scan.key, scan.of))
        if scan.task is not None:
            scan.task.cancel()
            await asyncio.gather(scan.task, return_exceptions=True)

    def _on_over(self, scan: Scan, *, good: bool) -> None:
        if not good:
            self._disowned.add((scan.key, scan.of))
        if self._scan is scan:
            self._scan, self._unsafe = None, False

    def _require_none_of_ours(self) -> None:
        if self._scan is not None:
            raise self._refusal(f"{self._scan.key} is still running", "wait until it is filed")

    async def fetch(self, key: str, block: int = 0) -> Fetched:
        """Read a data set; both sums of its audit trail are checked again. Raises Rejected when there is none of ours."""
        if (key, block) in self._disowned:
            raise Rejected(f"{key} block {block} left no good data", instrument=self._name)
        if await self._clock.in_thread(self._folders.known, key, (block + 1) * arrays.ROWS_FROM) is not None:
            return await self._clock.in_thread(self._folders.fetch_rows, key, block)
        known = self._known.get((key, block)) or await self._clock.in_thread(self._folders.known, key, block)
        if known is None or known.state == "failed":
            raise Rejected(f"no data of {key} block {block}", instrument=self._name, advice=known.text if known else "")
        return await self._clock.in_thread(self._folders.fetch, known, key, block)

    async def look(self, key: str) -> Fetched:
        """Not done: `tr` would show the scans so far, but was seen in no public program."""
        raise NotSupported(f"TopSpin does not show {key} while it runs", instrument=self._name)

    # ---------------------------------------------------------------------------------------------------------- stopping

    async def halt(self, key: str) -> None:
        """Stop and keep."""
        self._require("halt")
        self._mine(key).halted = True
        await self._line().ask("halt", key=key)

    async def abort(self, key: str) -> None:
        """Stop and discard: Failed follows."""
        self._require("abort")
        self._mine(key).aborted = True
        await self._line().ask("stop", key=key)

    def _require(self, command: str) -> None:
        if command not in self.capabilities.commands:
            raise NotSupported(f"{command}: in mode pull nothing reaches TopSpin while it acquires", instrument=self._name)

    def _mine(self, key: str) -> Scan:
        if self._scan is None or self._scan.key != key:
            raise Rejected(f"{key} is not running", instrument=self._name)
        return self._scan

    async def make_safe(self) -> SafeState:
        """Stop our scan and read back that `zg` has returned; what a person acquires is not ours to stop, nor to be seen."""
        if "make_safe" not in self.capabilities.commands and self._scan is not None:
            return SafeState(Confirmation.UNCONFIRMED, f"in mode pull nothing reaches TopSpin: {self._scan.key} goes on to its end")
        self._unsafe = self._scan is not None
        try:
            async with asyncio.timeout(SAFE_WITHIN_S):
                if self._scan is not None:
                    await self.abort(self._scan.key)
                while (state := await self._line().ask("status")).get("state") in {"running", "stopping"}:
                    await asyncio.sleep(POLL_S)
        except InstrumentError as fault:
            return SafeState(Confirmation.UNCONFIRMED, str(fault))
        except TimeoutError:
            return SafeState(Confirmation.UNCONFIRMED, "zg has not returned; stop was sent")
        self._unsafe = False
        return SafeState(Confirmation.CONFIRMED, f"the agent is {state.get('state')}: no zg of ours runs")

    async def hand_back(self) -> tuple[str, ...]:
        """The agent shows the data set again that was there before ours."""
        if self._options.get("mode") == "pull":
            return ("in mode pull TopSpin goes on showing our last data set",)
        if self._scan is not None:
            return (f"{self._scan.key} still runs, and its data set is shown",)
        found = await self._line().ask("hand_back", within_s=LONG_REPLY_S)
        if found.get("as_found") in {"", found.get("shown")}:
            return ()
        return (f"TopSpin shows {found.get('shown') or 'no data set'}, not {found.get('as_found')}, as it was found",)

    # ----------------------------------------------------------------------------------------------------------- looking

    async def read_state(self) -> ConsoleState:
        """What the agent does now. TopSpin has no way to ask for acquisitions of others: those are not seen."""
        try:
            state = await self._line().ask("status")
        except InstrumentError as fault:
            if self._scan is not None and self._options.get("mode") == "pull":  # whoever was called and acquires cannot be asked
                return ConsoleState(ConsoleActivity.ACQUIRING, self._scan.key, self._scan.of)
            return ConsoleState(ConsoleActivity.UNKNOWN, detail=await self._diagnosis(fault.message))
        if state.get("state") in {"running", "stopping"}:
            return ConsoleState(ConsoleActivity.ACQUIRING, str(state.get("key", "")), arrays.block_of(int(state.get("block", 0))))
        if self._scan is not None:
            return ConsoleState(ConsoleActivity.ACQUIRING, self._scan.key, self._scan.of, detail="being filed")
        if state.get("state") != "idle" and float(state.get("for_s", 0.0)) > DIALOG_S:
            return ConsoleState(ConsoleActivity.UNKNOWN, detail=f"{states.DIALOG.name}; {states.DIALOG.advice}")
        return ConsoleState(ConsoleActivity.IDLE)

    async def read_clock(self) -> ClockSample | None:
        """The clock of TopSpin's computer, by a ping."""
        before_ns = self._clock.mono_ns()
        device_ns = int(float((await self._line().ask("ping"))["t_unix"]) * 1e9)
        now_ns = self._clock.mono_ns()
        middle_ns = (before_ns + now_ns) // 2
        self._offset_s = (device_ns - self._clock.utc_of(middle_ns)) / 1e9
        return ClockSample(device_ns, middle_ns, (now_ns - before_ns + 1) // 2)

    def events(self) -> AsyncIterator[ConsoleEvent]:
        """The one ordered stream."""
        return self._events.stream()

    async def _on_event(self, event: wire.Event) -> None:
        scan = self._scan
        if scan is not None and (event.key, event.block) == (scan.key, scan.block):
            late_ns = None if self._bridge is None else self._bridge.not_before_ns(event)
            scan.hear(event.ev, str(event.told.get("code", "")), str(event.told.get("text", "")), not_before_ns=late_ns)

    async def _on_link(self, why: str | None) -> None:
        if why is not None:
            self._lost = why
            await self._events.put(LinkLost(self._clock.mono_ns(), await self._diagnosis(why)))
            return
        if self._lost:
            self._lost = ""
            await self._events.put(LinkRestored(self._clock.mono_ns(), "the agent answers"))
        self._tasks.spawn(self._catch_up())

    async def _catch_up(self) -> None:
        """What was owed while nobody answered, and what became of a start that nobody confirmed."""
        if self._unsafe:
            await self.make_safe()
        scan = self._scan
        if scan is not None and not scan.waiting:
            with contextlib.suppress(InstrumentError):
                found = await self._line().ask("find", key=scan.key, block=scan.block)
                scan.orphan = found.get("state") in ON_ITS_WAY and (await self._line().ask("status")).get("key") != scan.key
                word = "not started" if found.get("state") in {"unknown", "prepared"} else str(found.get("state"))
                scan.hear(word, text=str(found.get("text", "")), not_before_ns=scan.asked_ns)

    async def _diagnosis(self, why: str) -> str:
        """By the agent's last sign of life in the data folder: is TopSpin gone, or only its port? (A share may show it late.)"""
        beat = await self._clock.in_thread(self._folders.beat) if self._folders.root else {}
        if not beat:
            return why
        age_s = max(0.0, self._clock.utc_ns() / 1e9 + self._offset_s - float(beat.get("t_unix", 0.0)))
        state = states.PORT_CLOSED if age_s < BEAT_OLD_S * self._clock.speed else states.TOPSPIN_GONE
        return f"{state.name}: {why}; last sign of life {age_s:.0f} s ago; {state.advice}"

    # ----------------------------------------------------------------------------------------------------------- private

    def _line(self) -> Bridge:
        if self._bridge is None or not self._bridge.connected:
            raise NotReachable(self._lost or "the agent is not connected", instrument=self._name, advice=states.TOPSPIN_GONE.advice)
        return self._bridge

    def _refusal(self, message: str, advice: str) -> Rejected:
        return Rejected(message, instrument=self._name, did="nothing was started", advice=advice)
