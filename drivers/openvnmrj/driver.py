"""OpenVnmrJ and VnmrJ consoles: one-shot commands in, lines out through our listener, data through the file system.

Nothing that is sent is acknowledged by itself: whatever matters is asked back. Losing the link never stops a scan. Built to the
document, not yet met a console.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from dataclasses import replace
from itertools import chain, repeat
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
    Progress,
    ReadBack,
    SafeState,
    Settings,
)
from drivers.errors import DeviceFault, InstrumentError, NotReachable, NotSupported, OutcomeUnknown, Rejected, WrongInstrument
from drivers.openvnmrj import sequences, wire
from drivers.openvnmrj.folders import Folders
from drivers.openvnmrj.foreground import PATIENT_REPLY_S, Foreground
from drivers.openvnmrj.parameters import LOCKED_NAMES, Setup, check_frequency, deviations, field_1H_MHz, readable, setup_of
from drivers.openvnmrj.scans import POLL_S, SAVE_GRACE_S, STOP_GRACE_S, Follower, Scan
from drivers.openvnmrj.statusstream import StatusStream
from drivers.stream.events import Events
from drivers.stream.tasks import Tasks

RESTORED = ("sw", "np", "nt", "ss", "d1", "tof", "pw", "tpwr")
"""In this order: VnmrJ fits np to sw (inferred)."""
ADOPTED_DEADLINE_S = 7 * 86400.0
ASK_AGAIN_S = (0.5, 1.0, 2.0, 5.0, 10.0)
"""Real seconds between questions to a console that fell silent; the last one for ever."""


class OpenVnmrJ:
    """One console. ``address``: the operator's vnmr folder with ``.talk`` in it, as this computer sees it.

    Options: ``data_root`` (where the console saves, as it names it), ``path_map`` (its prefixes → ours; a relative one
    begins at ``address``), ``listen_host``, ``listen_port``, ``advertise_host``, ``console_host``, ``port_is_plain``,
    ``H1_MHz`` (the magnet), ``unlock``, ``back_channel`` (``net``, or ``file``: no connection is made from the console to us),
    ``infostat_port`` (where `Infostat -port N`, run on this computer, tells the scans as they come).
    """

    capabilities = ConsoleCapabilities(  # 8 s a block: measured on a DD2
        look=True, overhead_s=8.0, make_safe_s=20.0, sequences=sequences.runs(), lacks=sequences.LACKS, edge=True
    )

    @classmethod
    def declared(cls, settings: Settings) -> ConsoleCapabilities:
        """What the rig file alone says: pulse and power are the site's own but for what it unlocks."""
        progress = bool(settings.options.get("infostat_port"))
        return replace(cls.capabilities, progress=progress, locked=frozenset(LOCKED_NAMES) - set(settings.options.get("unlock") or {}))

    def __init__(self, settings: Settings, context: Context) -> None:
        options, vnmruser = settings.options, Path(settings.address).expanduser()
        self.capabilities = self.declared(settings)
        self._name, self._wanted = settings.instrument, settings.identity
        self._clock = context.clock
        root = str(options.get("data_root") or vnmruser / "data" / "operando")
        self._folders = Folders(root, {theirs: str(vnmruser / ours) for theirs, ours in options.get("path_map", {}).items()}, vnmruser)
        self._foreground = Foreground(self._name, vnmruser, options, context, self._on_link, self._folders.answers)
        self._events = Events(self._name)
        self._follower = Follower(self._foreground, self._folders, self._clock, self._events.put, self._on_over)
        self._unlock = dict(options.get("unlock") or {})
        self._1H_MHz: float | None = float(options["H1_MHz"]) if "H1_MHz" in options else None
        self._tasks = Tasks(self._name)
        port = int(options.get("infostat_port", 0))
        self._status = StatusStream(context.network, port, self._on_scans) if port else None
        self._lost = asyncio.Event()
        self._order: AcquisitionOrder | None = None
        self._found: dict[str, Any] = {}
        self._plain_seqfil: str | None = None
        self._plain_pw: float | None = None
        self._arrayed: tuple[str, ...] = ()
        self._as_found: dict[str, Any] = {}
        self._scan: Scan | None = None
        self._unsafe: Scan | None = None
        self._started: set[tuple[str, int]] = set()
        self._disowned: set[tuple[str, int]] = set()

    # -------------------------------------------------------------------------------------------------------- connecting

    async def connect(self) -> Identity:
        """Read ``.talk``, listen, ask whether anything acquires; a scan of ours that runs is followed."""
        talk = await self._foreground.talk()
        if self._wanted and self._wanted != talk.host:
            raise WrongInstrument(f".talk names the computer {talk.host}, not {self._wanted}", instrument=self._name)
        await self._foreground.listen(talk.host)
        self._tasks.spawn(self._foreground.run())
        if self._status is not None:
            await self._status.open()
            self._tasks.spawn(self._status.run())
        try:
            activity = await self._foreground.activity()
            if activity.active < 0:
                raise WrongInstrument("this VnmrJ is a data station: it has no console", instrument=self._name)
            if activity.active > 0:
                await self._adopt()
        except InstrumentError:
            await self.release()
            raise
        self._tasks.spawn(self._keep_asking())
        return Identity("Agilent", "OpenVnmrJ", serial=talk.host)

    async def _adopt(self) -> None:
        """A scan that an earlier process of ours started says so in ``wexp``."""
        armed = wire.parse_wexp(await self._foreground.text("wexp"))
        if armed is None:
            return
        scan = self._follower.scan(armed.key, armed.block, ADOPTED_DEADLINE_S)
        # inferred: wexp is read when the scan ends; armed anew it tells us, and not the process that died.
        await self._foreground.send(wire.arm(self._foreground.back, scan.nonce, f"{armed.folder}/{armed.key}_b{armed.block}"))
        self._follow(scan)

    async def release(self) -> None:
        """Stop listening; a running scan goes on."""
        await self._tasks.end()
        await self._foreground.close()
        if self._status is not None:
            await self._status.close()
        self._events.close()

    # --------------------------------------------------------------------------------------------------------- acquiring

    async def prepare(self, order: AcquisitionOrder) -> ReadBack:
        """Set the parameters and read them back. Raises Rejected while anything acquires, and where such data are there already."""
        setup = setup_of(order, self._unlock)
        wire.safe_name(order.key)
        await self._require_idle()
        self._order = None
        if not await self._clock.in_thread(self._folders.make_room, order.key, order.blocks):
            raise self._refusal(f"data of {order.key} are there already", "fetch them, or take another key")
        await self._note_as_found()
        setup = await self._set(setup, order.key)
        found = await self._read_back()
        if order.rows is not None or order.per_block is not None:
            also = ("arraydim",) if order.per_block is None or order.per_block.name != "carrier_ppm" else ("arraydim", "reffrq")
            found = readable({**found, **await self._foreground.numbers(also)})
        if found["tn"] != setup.first["tn"]:
            raise Rejected(f"the console stays at {found['tn']}", instrument=self._name, sent=str(setup.first["tn"]))
        check_frequency(setup, order, found, self._1H_MHz)
        self._1H_MHz = self._1H_MHz or field_1H_MHz(order.nucleus, found["sfrq"])
        differing = deviations(setup, order, found)
        self._order, self._found = order, found
        return ReadBack(found, differing)

    async def hand_back(self) -> tuple[str, ...]:
        """``wexp`` and ``werr`` empty, nucleus and parameters as found: what is read back decides."""
        if self._scan is not None:
            return (f"{self._scan.key} still runs, with its wexp armed",)
        found = self._as_found
        plain = sequences.plain(self._arrayed, self._plain_seqfil, self._plain_pw) if self._plain_seqfil is not None else {}
        await self._foreground.send(wire.compose(*wire.DISARM, *wire.set_parameters(plain)))
        if found:
            nucleus = {name: found[name] for name in ("tn",)}
            numbers = {name: found[name] for name in RESTORED}
            await self._foreground.send(wire.compose(*wire.set_parameters(nucleus)))
            await self._foreground.send(wire.compose(*wire.set_parameters(numbers)))
        left = [f"wexp holds {held!r}"] if (held := await self._foreground.text("wexp")) else []
        if found:
            now = await self._foreground.numbers(RESTORED) | {"tn": await self._foreground.text("tn")}
            left += [f"{name} is {now[name]}, and was {found[name]}" for name in ("tn", *RESTORED) if not _alike(now[name], found[name])]
        self._order = None
        return (*left, *(["the workspace shows our last FID: load your own with `rt`"] if self._started else []))

    async def _note_as_found(self) -> None:
        """What the operator had set, before ours."""
        if not self._as_found:
            self._as_found = await self._foreground.numbers(RESTORED) | {"tn": await self._foreground.text("tn")}

    async def _set(self, setup: Setup, key: str) -> Setup:
        if self._plain_seqfil is None:
            found = await self._foreground.text("seqfil")
            ours = found in sequences.SEQFIL.values() and found != sequences.PLAIN
            self._plain_seqfil, self._arrayed = (sequences.PLAIN, sequences.OURS) if ours else (found, ())
        before = wire.set_parameters(sequences.plain(self._arrayed, self._plain_seqfil, self._plain_pw))
        self._plain_pw = (await self._foreground.numbers(("pw",)))["pw"] if isinstance(setup.values.get("pw"), tuple) else None
        await self._foreground.send(wire.compose(*wire.DISARM, *before, *setup.load, *wire.set_parameters(setup.first)))
        self._arrayed = tuple(name for name in setup.values if name in sequences.OURS)
        if setup.carrier_ppm is not None:
            setup = setup.at_carrier(await self._foreground.numbers(("sfrq", "reffrq")))
        await self._foreground.send(wire.compose(*wire.set_parameters(setup.values), f"text({wire.quote(key)})"))
        return setup

    async def _read_back(self) -> dict[str, Any]:
        first, rest = wire.NUMBERS[:6], wire.NUMBERS[6:]
        numbers = await self._foreground.numbers(first) | await self._foreground.numbers(rest)
        return readable({**numbers, "tn": await self._foreground.text("tn")})

    async def start(self, key: str, block: int = 0) -> None:
        """Arm and go, in one write, if the console finds itself idle. Raises Rejected when certainly nothing was started."""
        if (key, block) in self._started:
            return
        order = self._order
        if order is None or order.key != key or not 0 <= block < order.blocks:
            raise self._refusal(f"{key} block {block} is not prepared", "prepare it first")
        self._require_none_of_ours()
        expected_s = sequences.expected_s(order, block, self._found)
        scan = self._follower.scan(key, block, order.deadline_s, self._found, expected_s)
        scan.after_edge = order.edge_within_s > 0
        first = sequences.block_values(order, block, self._found)
        path = self._folders.remote(key, block)
        try:
            await self._foreground.send(wire.acquire(self._foreground.back, scan.nonce, path, *first), at_once=True)
        except NotReachable as fault:
            self._foreground.forget(scan.nonce)
            raise self._refusal(f"the start was not delivered: {fault.message}", fault.advice) from fault
        except OutcomeUnknown:
            self._follow(scan)
            raise
        await self._follower.reply(scan)
        if scan.instead is not None:
            self._foreground.forget(scan.nonce)
            raise self._foreign(scan.instead)
        self._follow(scan)

    async def _require_idle(self) -> None:
        self._require_none_of_ours()
        activity = await self._foreground.activity(PATIENT_REPLY_S)
        if activity.active > 0:
            raise self._foreign(activity)

    def _require_none_of_ours(self) -> None:
        if self._scan is not None:
            raise self._refusal(f"{self._scan.key} is still running", "wait until it is filed")

    def _foreign(self, activity: wire.Activity) -> Rejected:
        return self._refusal(f"a foreign acquisition: {activity.who}", "wait for it, or ask its owner to stop it")

    def _follow(self, scan: Scan) -> None:
        self._scan = scan
        self._started.add((scan.key, scan.block))
        self._tasks.spawn(self._follower.follow(scan))

    def _on_over(self, scan: Scan) -> None:
        if scan.disowned:
            self._disowned.add((scan.key, scan.block))
        if self._scan is scan:
            self._scan = None

    async def fetch(self, key: str, block: int = 0) -> Fetched:
        """Read the files of a block. Raises Rejected when there are none of ours."""
        if (key, block) in self._disowned:
            raise Rejected(f"the files of {key} block {block} are somebody else's", instrument=self._name)
        return await self._clock.in_thread(self._folders.fetch, key, block)

    async def look(self, key: str) -> Fetched:
        """What full blocks (``bs``) of scans have brought so far. Raises NotSupported for an array, DeviceFault before the first block."""
        scan = self._mine(key)
        if self._order is not None and self._order.rows is not None:
            raise NotSupported(f"{key} is an array: its rows are filed when all of them are measured", instrument=self._name)
        if (await self._foreground.numbers(("ct",)))["ct"] < 1:
            raise DeviceFault(f"no block of scans of {key} is over", instrument=self._name, advice="lower `bs` on the console")
        await self._foreground.save_so_far(self._folders.remote_look(key, scan.block))
        return await self._clock.in_thread(self._folders.look, key, scan.block)

    # ---------------------------------------------------------------------------------------------------------- stopping

    async def halt(self, key: str) -> None:
        """Stop and keep: the console runs ``wexp``, and the block ends as always."""
        scan = self._mine(key)
        scan.halted = True
        scan.deadline_ns = min(scan.deadline_ns, self._clock.mono_ns() + int(SAVE_GRACE_S * 1e9))
        await self._foreground.send(wire.compose("halt"))

    async def abort(self, key: str) -> None:
        """Stop and discard: nothing is saved, Failed follows."""
        scan = self._mine(key)
        scan.aborted = True
        await self._foreground.send(wire.compose("wexp=''", "aa"))
        scan.news.set()

    async def make_safe(self) -> SafeState:
        """Abort our scan and read back that nothing acquires; a foreign one is left alone and said."""
        self._unsafe = self._scan
        try:
            if self._scan is not None:
                await self.abort(self._scan.key)
            activity = await self._until_idle()
        except InstrumentError as fault:
            return SafeState(Confirmation.UNCONFIRMED, str(fault))
        self._unsafe = None
        if activity.active > 0:
            return SafeState(Confirmation.UNCONFIRMED, f"still acquiring: {activity.who}")
        return SafeState(Confirmation.CONFIRMED, "no acquisition is active")

    async def _until_idle(self) -> wire.Activity:
        """Waits for our own scan only."""
        until_ns = self._clock.mono_ns() + int(STOP_GRACE_S * 1e9)
        while True:
            activity = await self._foreground.activity()
            if self._scan is None or self._clock.mono_ns() > until_ns:
                return activity
            await self._clock.sleep(POLL_S)

    def _mine(self, key: str) -> Scan:
        if self._scan is None or self._scan.key != key:
            raise Rejected(f"{key} is not running", instrument=self._name)
        return self._scan

    # ----------------------------------------------------------------------------------------------------------- looking

    async def read_state(self) -> ConsoleState:
        """As the console says now."""
        try:
            activity = await self._foreground.activity()
        except InstrumentError as fault:
            return ConsoleState(ConsoleActivity.UNKNOWN, detail=fault.message)
        if self._scan is not None:
            return ConsoleState(ConsoleActivity.ACQUIRING, self._scan.key, self._scan.block)
        if activity.active > 0:
            return ConsoleState(ConsoleActivity.FOREIGN, detail=activity.who)
        return ConsoleState(ConsoleActivity.IDLE)

    async def read_clock(self) -> ClockSample | None:
        """The clock of the console's computer, by the back channel; None where it has no command for that, or no back channel."""
        before_ns = self._clock.mono_ns()
        device_ns = await self._foreground.console_ns()
        now_ns = self._clock.mono_ns()
        return ClockSample(device_ns, (before_ns + now_ns) // 2, (now_ns - before_ns + 1) // 2) if device_ns else None

    def events(self) -> AsyncIterator[ConsoleEvent]:
        """The one ordered stream."""
        return self._events.stream()

    async def _on_scans(self, scans: int) -> None:
        """The status stream counts them; it says of which experiment only by who acquires."""
        scan = self._scan
        if scan is not None and scan.reply is not None and scans > scan.scans_told:
            scan.scans_told = scans
            await self._events.put(Progress(scan.key, scan.block, self._clock.mono_ns(), scans))

    async def _on_link(self, why: str | None) -> None:
        now_ns = self._clock.mono_ns()
        if why is None and self._lost.is_set():
            self._lost.clear()
            await self._events.put(LinkRestored(now_ns, "the console answers"))
        elif why is not None and not self._lost.is_set():
            self._lost.set()
            await self._events.put(LinkLost(now_ns, why))

    async def _keep_asking(self) -> None:
        """Whoever says LinkLost asks until it can say LinkRestored."""
        while True:
            await self._lost.wait()
            for pause_s in chain(ASK_AGAIN_S, repeat(ASK_AGAIN_S[-1])):
                await asyncio.sleep(pause_s)
                if not self._lost.is_set():
                    break
                with contextlib.suppress(InstrumentError):
                    await self._foreground.activity()
            if self._unsafe is not None and self._unsafe is self._scan:
                await self.make_safe()

    # ----------------------------------------------------------------------------------------------------------- private

    def _refusal(self, message: str, advice: str) -> Rejected:
        return Rejected(message, instrument=self._name, did="nothing was started", advice=advice)


def _alike(now: Any, before: Any) -> bool:
    """VnmrJ rounds what it is told."""
    if isinstance(now, float) and isinstance(before, float):
        return abs(now - before) <= 1e-4 * max(1.0, abs(before))
    return bool(now == before)
