"""OpenVnmrJ and VnmrJ consoles: one-shot commands in, lines out through our listener, data through the file system.

Nothing that is sent is acknowledged by itself: whatever matters is asked back. Losing the link never stops a scan. Built to the
document, not yet met a console.
"""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import logging
import os
import socket
from collections.abc import AsyncIterator, Callable, Coroutine, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from drivers.base import (
    Acquired,
    AcquisitionOrder,
    ClockSample,
    Confirmation,
    ConsoleActivity,
    ConsoleCapabilities,
    ConsoleEvent,
    ConsoleState,
    Context,
    Failed,
    Fetched,
    Filed,
    Identity,
    LinkLost,
    LinkRestored,
    ReadBack,
    SafeState,
    Settings,
    Started,
)
from drivers.errors import BadReply, DeviceFault, InstrumentError, NotReachable, NotSupported, OutcomeUnknown, Rejected, WrongInstrument
from drivers.openvnmrj import files, wire
from drivers.openvnmrj.backchannel import BackChannel
from drivers.openvnmrj.folders import Folders
from drivers.openvnmrj.parameters import check_frequency, deviations, field_1H_MHz, identity_of, readable, setup_of, stranger

REPLY_S = 5.0
PATIENT_REPLY_S = 15.0
"""A foreground that still files the last acquisition answers late: 8 s a block were measured."""
POLL_S = 0.5
FIRST_POLL_S = 0.1
SLOW_POLL_S = 2.0
START_GRACE_S = 60.0
SAVE_GRACE_S = 30.0
STOP_GRACE_S = 10.0
LEAST_REAL_S = 5.0
"""No grace is shorter for the computers, however fast the experiment's time runs."""
ADOPTED_DEADLINE_S = 7 * 86400.0
MOST_EVENTS = 1000

_log = logging.getLogger(__name__)


@dataclass(slots=True)
class Scan:
    """One block on its way: from ``au`` to the files."""

    key: str
    block: int
    nonce: str
    expected_s: float
    deadline_ns: int
    not_before_ns: int = 0
    identity: Mapping[str, Any] = field(default_factory=dict)
    halted: bool = False
    aborted: bool = False
    said: wire.Said | None = None
    said_ns: int = 0
    news: asyncio.Event = field(default_factory=asyncio.Event)


class OpenVnmrJ:
    """One console. ``address``: the operator's vnmr folder with ``.talk`` in it, as this computer sees it.

    Options: ``data_root`` (where the console saves, as it names it), ``path_map`` (its prefixes → ours; a relative one
    begins at ``address``), ``listen_host``,
    ``listen_port``, ``advertise_host``, ``console_host``, ``port_is_plain``, ``unlock``.
    """

    capabilities = ConsoleCapabilities(overhead_s=8.0, make_safe_s=20.0)  # 8 s a block: measured on a DD2

    def __init__(self, settings: Settings, context: Context) -> None:
        options = settings.options
        self._name, self._wanted = settings.instrument, settings.identity
        self._clock, self._network, self._wire = context.clock, context.network, context.wire
        self._vnmruser = Path(settings.address).expanduser()
        self._options = dict(options)
        root = str(options.get("data_root") or self._vnmruser / "data" / "operando")
        self._folders = Folders(root, {theirs: str(self._vnmruser / ours) for theirs, ours in options.get("path_map", {}).items()})
        self._unlock = dict(options.get("unlock") or {})
        self._back_channel = BackChannel(self._network, self._wire, self._name)
        self._back: wire.BackAddress | None = None
        self._secret = b"" if self._clock.virtual else os.urandom(16)
        self._asked = 0
        self._lane = asyncio.Lock()
        self._events: asyncio.Queue[ConsoleEvent | None] = asyncio.Queue(MOST_EVENTS)
        self._tasks: set[asyncio.Task[None]] = set()
        self._lost = False
        self._order: AcquisitionOrder | None = None
        self._found: dict[str, Any] = {}
        self._1H_MHz: float | None = float(options["H1_MHz"]) if "H1_MHz" in options else None
        self._scan: Scan | None = None
        self._started: set[tuple[str, int]] = set()
        self._disowned: set[tuple[str, int]] = set()

    # -------------------------------------------------------------------------------------------------- the contract

    async def connect(self) -> Identity:
        """Read ``.talk``, listen, ask whether anything acquires; a scan of ours that runs is followed."""
        talk = await self._read_talk()
        if self._wanted and self._wanted != talk.host:
            raise WrongInstrument(f".talk names the computer {talk.host}, not {self._wanted}", instrument=self._name)
        listen_host = str(self._options.get("listen_host", "127.0.0.1"))
        self._check_reachable(talk.host, listen_host)
        port = await self._back_channel.open(listen_host, int(self._options.get("listen_port", 0)), talk.host)
        self._back = wire.BackAddress(str(self._options.get("advertise_host", listen_host)), port)
        self._spawn(self._back_channel.run())
        try:
            activity = await self._ask_activity()
            if activity.active < 0:
                raise WrongInstrument("this VnmrJ is a data station: it has no console", instrument=self._name)
            if activity.active > 0:
                await self._adopt()
        except InstrumentError:
            await self.release()
            raise
        return Identity("Agilent", "OpenVnmrJ", serial=talk.host)

    async def prepare(self, order: AcquisitionOrder) -> ReadBack:
        """Set the parameters and read them back. Raises Rejected while anything acquires."""
        setup = setup_of(order, self._unlock)
        wire.safe_name(order.key)
        await self._require_idle()
        self._order = None
        await self._clock.in_thread(self._folders.make_root)
        await self._send(wire.compose(*wire.DISARM, *setup.load, *wire.set_parameters(setup.first)))
        if setup.carrier_ppm is not None:
            setup = setup.at_carrier(await self._numbers(("sfrq", "reffrq")))
        await self._send(wire.compose(*wire.set_parameters(setup.values), f"text({wire.quote(order.key)})"))
        numbers = await self._numbers(wire.NUMBERS[:6]) | await self._numbers(wire.NUMBERS[6:])
        found = readable(numbers | {"tn": (await self._ask_text("tn")).payload})
        if found["tn"] != setup.first["tn"]:
            raise Rejected(f"the console stays at {found['tn']}", instrument=self._name, sent=str(setup.first["tn"]))
        check_frequency(setup, order, found, self._1H_MHz)
        self._1H_MHz = self._1H_MHz or field_1H_MHz(order.nucleus, found["sfrq"])
        differing = deviations(setup, order, found)
        self._order, self._found = order, found
        return ReadBack(found, differing)

    async def start(self, key: str, block: int = 0) -> None:
        """Arm and go. Raises Rejected when certainly nothing was started."""
        if (key, block) in self._started:
            return
        order = self._order
        if order is None or order.key != key or not 0 <= block < order.blocks:
            raise Rejected(f"{key} block {block} is not prepared", instrument=self._name, did="nothing was started")
        await self._require_idle()
        if await self._clock.in_thread(self._folders.is_there, key, block):
            raise Rejected(
                f"data of {key} block {block} are there already", instrument=self._name, advice="fetch them, or take another key"
            )
        self._scan = scan = self._new_scan(key, block, order.deadline_s, self._found)
        self._started.add((key, block))
        back = self._require_back()
        command = wire.acquire(back, scan.nonce, self._folders.remote(key, block))
        try:
            await self._send(command)
        except InstrumentError as fault:
            self._give_up(scan)
            raise OutcomeUnknown("the start may not have arrived", instrument=self._name, sent=command, received=str(fault)) from fault
        self._spawn(self._follow(scan))

    def events(self) -> AsyncIterator[ConsoleEvent]:
        """The one ordered stream."""
        return self._stream()

    async def fetch(self, key: str, block: int = 0) -> Fetched:
        """Read the files of a block. Raises Rejected when there are none of ours."""
        if (key, block) in self._disowned:
            raise Rejected(f"the files of {key} block {block} are somebody else's", instrument=self._name)
        return await self._clock.in_thread(self._folders.fetch, key, block)

    async def halt(self, key: str) -> None:
        """Stop and keep: the console runs ``wexp``, and the block ends as always."""
        scan = self._mine(key)
        scan.halted = True
        scan.deadline_ns = min(scan.deadline_ns, self._clock.mono_ns() + self._grace_ns(SAVE_GRACE_S))
        await self._send(wire.compose("halt"))

    async def abort(self, key: str) -> None:
        """Stop and discard: nothing is saved, Failed follows."""
        scan = self._mine(key)
        scan.aborted = True
        await self._send(wire.compose("wexp=''", "aa"))
        scan.news.set()

    async def look(self, key: str) -> Fetched:
        """Not possible."""
        raise NotSupported(f"OpenVnmrJ does not show {key} while it runs", instrument=self._name)

    async def read_state(self) -> ConsoleState:
        """As the console says now."""
        try:
            activity = await self._ask_activity()
        except InstrumentError as fault:
            return ConsoleState(ConsoleActivity.UNKNOWN, detail=fault.message)
        scan = self._scan
        if scan is not None:
            return ConsoleState(ConsoleActivity.ACQUIRING, scan.key, scan.block)
        if activity.active <= 0:
            return ConsoleState(ConsoleActivity.IDLE)
        return ConsoleState(ConsoleActivity.FOREIGN, detail=_foreign(activity))

    async def make_safe(self) -> SafeState:
        """Abort our scan and read back that nothing acquires; a foreign one is left alone and said."""
        try:
            if self._scan is not None:
                await self.abort(self._scan.key)
            activity = await self._until_idle() if self._started else await self._ask_activity()
        except InstrumentError as fault:
            return SafeState(Confirmation.UNCONFIRMED, str(fault))
        if activity.active > 0:
            return SafeState(Confirmation.UNCONFIRMED, f"still acquiring: {_foreign(activity)}")
        return SafeState(Confirmation.CONFIRMED, "no acquisition is active")

    async def release(self) -> None:
        """Stop listening; a running scan goes on."""
        tasks = list(self._tasks)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        await self._back_channel.close()
        if self._events.full():
            self._events.get_nowait()
        self._events.put_nowait(None)

    async def read_clock(self) -> ClockSample | None:
        """None: the console's clock shows only in its files (``time_complete``, whole seconds)."""
        return None

    # ----------------------------------------------------------------------------------------------------- what goes out

    async def _read_talk(self) -> wire.Talk:
        path = self._vnmruser / ".talk"
        try:
            text = await self._clock.in_thread(path.read_text)
            talk = wire.parse_talk(text, swapped=not self._options.get("port_is_plain", False))
        except (OSError, ValueError) as fault:
            advice = "type `listenon` in VnmrJ, and check the folder in the rig file"
            raise NotReachable(f"no usable {path}: {fault}", instrument=self._name, advice=advice) from fault
        return wire.Talk(str(self._options.get("console_host", talk.host)), talk.port, talk.pid)

    def _check_reachable(self, console_host: str, listen_host: str) -> None:
        """A console that cannot reach our listener hangs for minutes in its foreground."""
        local = {"localhost", "127.0.0.1", "::1", socket.gethostname()}
        if listen_host in {"localhost", "127.0.0.1", "::1"} and console_host not in local and "advertise_host" not in self._options:
            advice = "set options.listen_host to this computer's address in the console's network"
            raise NotReachable(f"the console {console_host} cannot answer to {listen_host}", instrument=self._name, advice=advice)

    async def _send(self, command: bytes) -> None:
        """One connection, one write. Raises NotReachable when nothing was delivered."""
        talk = await self._read_talk()
        async with self._lane:
            stream = await self._network.connect(talk.host, talk.port)
            try:
                self._wire.sent(command)
                await stream.write(command)
            finally:
                await stream.close()

    async def _ask(self, command: Callable[[wire.BackAddress, str], bytes], within_s: float = PATIENT_REPLY_S) -> wire.Said:
        """A command whose answer comes back as one line. Raises NotReachable when none comes (real seconds)."""
        nonce = self._nonce("ask")
        answer: asyncio.Future[wire.Said] = asyncio.get_running_loop().create_future()
        self._back_channel.hear(nonce, lambda said: None if answer.done() else answer.set_result(said))
        try:
            await self._send(command(self._require_back(), nonce))
            async with asyncio.timeout(within_s):
                said = await answer
        except TimeoutError as silence:
            await self._say_lost("the console's foreground does not answer")
            advice = "is VnmrJ busy, or a dialog open? can it reach our listener?"
            raise NotReachable("no answer", instrument=self._name, advice=advice) from silence
        except NotReachable as fault:
            await self._say_lost(fault.message)
            raise
        finally:
            self._back_channel.forget(nonce)
        await self._restored()
        return said

    async def _ask_text(self, name: str) -> wire.Said:
        return await self._ask(lambda back, nonce: wire.ask_text(back, nonce, name))

    async def _ask_activity(self, within_s: float = REPLY_S) -> wire.Activity:
        said = await self._ask(wire.ask_state, within_s)
        try:
            return wire.parse_state(said.payload)
        except ValueError as fault:
            raise BadReply(str(fault), instrument=self._name, received=said.payload) from fault

    async def _numbers(self, names: tuple[str, ...]) -> dict[str, float]:
        said = await self._ask(lambda back, nonce: wire.ask_numbers(back, nonce, names))
        try:
            return wire.parse_numbers(said.payload, names)
        except ValueError as fault:
            raise BadReply(str(fault), instrument=self._name, received=said.payload) from fault

    def _nonce(self, *what: object) -> str:
        self._asked += 1
        text = "|".join([self._name, str(self._asked), *map(str, what)])
        return hashlib.sha256(self._secret + text.encode()).hexdigest()[:16]

    def _require_back(self) -> wire.BackAddress:
        if self._back is None:
            raise NotReachable("not connected", instrument=self._name)
        return self._back

    async def _require_idle(self) -> None:
        if self._scan is not None:
            raise Rejected(f"{self._scan.key} is still running", instrument=self._name, did="nothing was changed")
        activity = await self._ask_activity(PATIENT_REPLY_S)
        if activity.active > 0:
            advice = "wait for it, or ask its owner to stop it"
            raise Rejected(f"a foreign acquisition: {_foreign(activity)}", instrument=self._name, did="nothing was changed", advice=advice)

    # ------------------------------------------------------------------------------------------------------ one scan

    def _new_scan(self, key: str, block: int, deadline_s: float, found: Mapping[str, Any] | None = None) -> Scan:
        now_ns = self._clock.mono_ns()
        scan = Scan(key, block, self._nonce(key, block), 0.0, now_ns + int(deadline_s * 1e9))
        if found:
            scan_s = found["at"] + found["d1"]
            scan.expected_s, scan.identity = (found["nt"] + max(0, found["ss"])) * scan_s, identity_of(found)
            scan.not_before_ns = now_ns + int(0.9 * found["nt"] * scan_s * 1e9)
            scan.deadline_ns += int(scan.expected_s * 1e9)

        def hear(said: wire.Said) -> None:
            if scan.said is None:
                scan.said, scan.said_ns = said, self._clock.mono_ns()
            scan.news.set()

        self._back_channel.hear(scan.nonce, hear)
        return scan

    async def _adopt(self) -> None:
        """A scan that an earlier process of ours started says so in ``wexp``."""
        armed = wire.parse_wexp((await self._ask_text("wexp")).payload)
        if armed is None:
            return
        self._scan = scan = self._new_scan(armed.key, armed.block, ADOPTED_DEADLINE_S)
        self._started.add((armed.key, armed.block))
        # inferred: wexp is read when the scan ends; armed anew it tells us, and not the process that died.
        await self._send(wire.arm(self._require_back(), scan.nonce, f"{armed.folder}/{armed.key}_b{armed.block}"))
        self._spawn(self._follow(scan))

    async def _follow(self, scan: Scan) -> None:
        """Started, Acquired, Filed; or Failed and why."""
        try:
            await self._until_started(scan)
            await self._until_over(scan)
            await self._until_filed(scan)
        except InstrumentError as fault:
            await self._over(scan, Failed(scan.key, scan.block, self._clock.mono_ns(), fault.message))
        else:
            path = self._folders.remote(scan.key, scan.block) + ".fid"  # as the console names it
            await self._over(scan, Filed(scan.key, scan.block, self._clock.mono_ns(), path))

    async def _over(self, scan: Scan, event: ConsoleEvent) -> None:
        """An armed ``wexp`` is a trap for whoever comes next: cleared first, said afterwards."""
        with contextlib.suppress(InstrumentError):
            await self._send(wire.compose(*wire.DISARM))
        self._give_up(scan)
        await self._events.put(event)

    def _give_up(self, scan: Scan) -> None:
        self._back_channel.forget(scan.nonce)
        if self._scan is scan:
            self._scan = None

    async def _until_started(self, scan: Scan) -> None:
        give_up_ns = self._clock.mono_ns() + self._grace_ns(START_GRACE_S)
        pause_s = FIRST_POLL_S
        while scan.said is None and await self._active() != 1:  # 2 and more: submitted, waiting its turn
            if scan.aborted or self._clock.mono_ns() > give_up_ns:
                raise DeviceFault("aborted" if scan.aborted else f"not started within {START_GRACE_S:.0f} s")
            await self._news(scan, pause_s)
            pause_s = min(2 * pause_s, POLL_S)
        if not (scan.said and scan.said.word == "ERR"):
            await self._events.put(Started(scan.key, scan.block, self._clock.mono_ns()))

    def _grace_ns(self, seconds: float) -> int:
        """So many seconds of the experiment, and never fewer than LEAST_REAL_S for the computers."""
        return int(max(seconds, LEAST_REAL_S * self._clock.speed) * 1e9)

    async def _active(self) -> int | None:
        """As ``expactive`` says; None: nobody answers."""
        try:
            return (await self._ask_activity()).active
        except InstrumentError:
            return None

    async def _news(self, scan: Scan, within_s: float) -> None:
        """Wait for a line about this scan, or so many seconds of the experiment."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(max(0.0, within_s) / self._clock.speed):
                await scan.news.wait()
        scan.news.clear()

    async def _until_over(self, scan: Scan) -> None:
        """The line from ``wexp`` or ``werr``; where it is lost, an idle console and complete files."""
        if scan.said is None:
            await self._news(scan, scan.expected_s)
        idle_since_ns: int | None = None
        while scan.said is None:
            now_ns = self._clock.mono_ns()
            idle_since_ns = (idle_since_ns or now_ns) if await self._active() == 0 else None
            if await self._filed(scan):
                break
            if idle_since_ns is not None and (scan.aborted or now_ns - idle_since_ns > self._grace_ns(STOP_GRACE_S)):
                raise DeviceFault("aborted" if scan.aborted else "the console is idle and has saved no complete files")
            await self._mind_the_deadline(scan, now_ns)
            await self._news(scan, SLOW_POLL_S)
        await self._judge(scan)

    async def _filed(self, scan: Scan) -> files.Parameters | None:
        return await self._clock.in_thread(self._folders.filed, scan.key, scan.block)

    async def _mind_the_deadline(self, scan: Scan, now_ns: int) -> None:
        """Too late: halt (which keeps what there is), then give up."""
        late_s = (now_ns - scan.deadline_ns) / 1e9
        if late_s > self._grace_ns(SAVE_GRACE_S) / 1e9:
            raise DeviceFault("not over in time, and halt did not help")
        if late_s > 0:
            with contextlib.suppress(InstrumentError):
                await self._send(wire.compose("halt"))

    async def _judge(self, scan: Scan) -> None:
        """What the line means: broken off, fired by somebody else's acquisition, or over."""
        said = scan.said
        if said is not None and said.word == "ERR":
            code = int(said.payload) if said.payload.isdigit() else -1
            what = wire.ACQUISITION_STATUS.get(code, "unknown")
            raise DeviceFault("aborted" if scan.aborted else f"the console reports {code}: {what}")
        if said is not None and not scan.halted and scan.said_ns < scan.not_before_ns:
            with contextlib.suppress(InstrumentError):
                # Disarmed first; ours is stopped only where it is the one that is active.
                await self._send(wire.compose(*wire.DISARM, *(["aa"] if await self._active() == 1 else [])))
            self._disowned.add((scan.key, scan.block))
            raise DeviceFault("wexp fired before our scans can be over: somebody else's acquisition lies under our name")

    async def _until_filed(self, scan: Scan) -> None:
        """Acquired as soon as it is known how many scans; returns when the files are complete, and ours."""
        give_up_ns = self._clock.mono_ns() + self._grace_ns(SAVE_GRACE_S)
        parameters = await self._filed(scan)
        scans = None if parameters is None else int(files.first(parameters, "ct", 0))
        if parameters is None or not stranger(scan.identity, parameters):
            await self._events.put(Acquired(scan.key, scan.block, self._clock.mono_ns(), scans))
        while parameters is None:
            if self._clock.mono_ns() > give_up_ns:
                raise BadReply(f"no complete files in {self._folders.local_fid(scan.key, scan.block)}")
            await self._clock.sleep(POLL_S)
            parameters = await self._filed(scan)
        if differing := stranger(scan.identity, parameters):
            self._disowned.add((scan.key, scan.block))
            raise DeviceFault(f"the files hold another acquisition: {differing}")

    def _mine(self, key: str) -> Scan:
        if self._scan is None or self._scan.key != key:
            raise Rejected(f"{key} is not running", instrument=self._name)
        return self._scan

    async def _until_idle(self) -> wire.Activity:
        until_ns = self._clock.mono_ns() + self._grace_ns(STOP_GRACE_S)
        while (activity := await self._ask_activity()).active > 0 or self._scan is not None:
            if self._clock.mono_ns() > until_ns:
                break
            await self._clock.sleep(POLL_S)
        return activity

    # -------------------------------------------------------------------------------------------------------- the stream

    async def _stream(self) -> AsyncIterator[ConsoleEvent]:
        while (event := await self._events.get()) is not None:
            yield event

    async def _say_lost(self, why: str) -> None:
        if not self._lost:
            self._lost = True
            await self._events.put(LinkLost(self._clock.mono_ns(), why))

    async def _restored(self) -> None:
        if self._lost:
            self._lost = False
            await self._events.put(LinkRestored(self._clock.mono_ns(), "the console answers"))

    def _spawn(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._on_task_over)

    def _on_task_over(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        if not task.cancelled() and (fault := task.exception()) is not None:
            _log.error("%s: the driver broke", self._name, exc_info=fault)


def _foreign(activity: wire.Activity) -> str:
    return f"experiment {activity.experiment} of {activity.user or 'nobody named'}"
