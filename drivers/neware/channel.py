"""One channel of a BTS client: a step file in, rows out."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path, PurePosixPath, PureWindowsPath
from typing import TypeVar

from drivers.base import Context, Identity, Settings
from drivers.clock import Clock
from drivers.durable import write_durably
from drivers.errors import BadReply, NotReachable, Rejected, WrongInstrument
from drivers.neware import wire
from drivers.neware.models import Options, choose, where
from drivers.neware.steps import OURS, CyclerPlan, barcode_of, step_file, step_type
from drivers.neware.talk import Talk
from drivers.stream import notebook
from drivers.stream.rows import Row

T = TypeVar("T")
VENDOR, MODEL = "Neware", "BTS 8"


class Channel:
    """What can be asked of it. All raise InstrumentError: NotReachable where nobody answers, Rejected where certainly nothing moved."""

    def __init__(self, settings: Settings, context: Context, options: Options) -> None:
        self._name, self._wanted, self._identity = settings.instrument, settings.channel, settings.identity
        self._clock: Clock = context.clock
        self._options = options
        host, port, folder = where(settings.address, settings.instrument)
        self._talk, self._folder = Talk(context.network, host, port, settings.instrument), Path(options.folder or folder)
        self._address: wire.Address | None = None

    @property
    def _lane(self) -> str:
        return f"files of {self._name}"

    @property
    def serial(self) -> str:
        """Device, subdevice, channel."""
        return str(self._address or "")

    # --------------------------------------------------------------------------------------------------------- questions

    async def open(self) -> Identity:
        """Reach the client, and find the channel. Changes nothing. Raises WrongInstrument."""
        answer = await self._talk.ask("getdevinfo", wire.devices())
        found = self._read(lambda: wire.addresses(answer))
        chosen = choose(found, self._wanted)
        if chosen is None:
            listed = ", ".join(str(one) for one in found) or "none"
            raise WrongInstrument(f"no single channel is meant by {self._wanted!r}", instrument=self._name, received=f"there are: {listed}")
        device = f"{chosen.devtype}-{chosen.devid}"
        if self._identity and self._identity != device:
            advice = "check the address, or the identity in the rig file (type-device)"
            raise WrongInstrument(f"device {device}, not {self._identity}", instrument=self._name, advice=advice)
        self._address = chosen
        return Identity(VENDOR, MODEL, f"{device} channel {chosen}")

    async def look(self) -> wire.State:
        """What it does now."""
        address = self._found()
        answer = await self._talk.ask("inquire", wire.inquire(address))
        return self._read(lambda: wire.state(answer, address))

    async def test(self) -> wire.Test:
        """Its latest test."""
        address = self._found()
        answer = await self._talk.ask("inquiredf", wire.inquire_data(address))
        return self._read(lambda: wire.test_of(answer, address))

    async def rows(self, test: int, first: int) -> tuple[Row, ...]:
        """At most a thousand rows of a test, from ``first`` on (the first one is 1)."""
        answer = await self._talk.ask("download", wire.download(self._found(), test, first))
        return self._read(lambda: wire.rows(answer))

    # ------------------------------------------------------------------------------------------------------------ orders

    async def write(self, plan: CyclerPlan, voltage_V: float | None) -> None:
        """The step file; the client is told nothing. Raises Rejected."""
        stamp = datetime.fromtimestamp(self._clock.utc_ns() // 10**9, UTC).strftime("%Y%m%d%H%M%S")
        kind = step_type(plan.order, voltage_V)
        await self._write(plan.order.key, ".xml", step_file(plan, kind, stamp=stamp, delay_s=self._options.protect_delay_s))

    async def note(self, plan: CyclerPlan) -> None:
        """What is about to run, for whoever finds it running. Raises Rejected."""
        entry = notebook.Entry(self.serial, self._clock.utc_ns(), plan.order)
        await self._write(plan.order.key, ".json", notebook.to_text(entry))

    async def known(self, state: wire.State) -> notebook.Entry | None:
        """The step of ours that runs, where it was written down."""
        path = self._file(state.barcode, ".json")
        entry = await self._clock.in_thread(notebook.read, path, lane=self._lane)
        if entry is None or barcode_of(entry.order.key) != state.barcode:
            return None
        return entry if entry.fits(self.serial, state.elapsed_s, self._clock.utc_ns()) else None

    async def start(self, key: str) -> None:
        """Run the step file. Raises Rejected where the client says no."""
        address, barcode = self._found(), barcode_of(key)
        question = wire.start(address, barcode, self._shown(barcode + ".xml"), self._options.backup or self._shown())
        answer = await self._talk.ask("start", question)
        if not self._read(lambda: wire.verdict(answer, address)):
            advice = "can the BTS client's computer read the step file under that name? what does the client itself complain of?"
            raise Rejected(
                "the BTS client refused the start", instrument=self._name, sent=question, did="nothing was started", advice=advice
            )

    async def stop(self) -> bool:
        """Open circuit; whether it is reached, ``look`` says. False: the client refused, as it does where nothing runs."""
        address = self._found()
        answer = await self._talk.ask("stop", wire.stop(address))
        return self._read(lambda: wire.verdict(answer, address))

    async def close(self) -> None:
        """Let go; what runs goes on."""
        await self._talk.close()

    # ----------------------------------------------------------------------------------------------------------- private

    def _found(self) -> wire.Address:
        if self._address is None:
            raise NotReachable("not connected", instrument=self._name)
        return self._address

    def _read(self, reader: Callable[[], T]) -> T:
        try:
            return reader()
        except wire.Garbled as fault:
            raise BadReply(f"what came back is no answer: {fault}", instrument=self._name) from fault

    def _file(self, barcode: str, suffix: str) -> Path:
        return self._folder / (barcode_of(barcode.removeprefix(OURS)) + suffix)

    def _shown(self, name: str = "") -> str:
        """A file of ours as the client's computer calls it."""
        told = self._options.bts_folder
        if not told:
            return str(self._folder / name)
        return str(PureWindowsPath(told, name) if "\\" in told or ":" in told else PurePosixPath(told, name))

    async def _write(self, key: str, suffix: str, text: str) -> None:
        path = self._file(key, suffix)
        try:
            await self._clock.in_thread(write_durably, path, text, lane=self._lane)
        except OSError as error:
            message, advice = f"{path.name} cannot be written: {error}", "look at option folder"
            raise Rejected(message, instrument=self._name, did="nothing was started", advice=advice) from error
