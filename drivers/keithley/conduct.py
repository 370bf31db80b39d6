"""What is done with the instrument, from the first question to the read-back of the safe state. The caller holds the lock of the wire."""

from __future__ import annotations

import asyncio
import contextlib
import math

from drivers.base import Identity
from drivers.clock import Clock
from drivers.errors import BadReply, DeviceFault, NotReachable, Rejected, WrongInstrument
from drivers.keithley import blocks, wire
from drivers.keithley.models import MODELS, Model
from drivers.keithley.setup import Setup, agrees, commands, high_impedance, look_of, low, read_back_numbers, read_back_words
from drivers.keithley.talk import Talk

OFF_TRIES = 3
IDLE_TRIES = 10
REFRESH_S = 0.15
"""A little more than the 100 ms after which ``:TRIG:STAT?`` says something new."""
START_TRIES = 15
LOOK_SETTLE_S = 0.1
TERMINALS = {"front": "FRON", "rear": "REAR"}


class Conduct:
    """Sequences of questions and commands."""

    def __init__(self, talk: Talk, clock: Clock, instrument: str) -> None:
        self._talk = talk
        self._clock = clock
        self._instrument = instrument
        self.capacity = 0
        self.initiated = False
        self._lowers: tuple[str, ...] = ()
        """What lowers the line of the present step, where it raises one."""

    # ---------------------------------------------------------------------------------------------------- who is there

    async def meet(self, wanted: str) -> tuple[Identity, Model]:
        """Open the wire and ask who answers; a silent socket is opened anew after the dead ones were closed. Raises InstrumentError."""
        with contextlib.suppress(NotReachable):
            await self._talk.open()
            return await self._who(wanted)
        await self._talk.open_anew()
        try:
            return await self._who(wanted)
        except NotReachable as silence:
            silence.advice = "check cable and power, that no other program holds it, and that it speaks SCPI (*LANG SCPI, then off and on)"
            raise

    async def meet_again(self, serial: str) -> None:
        """The same instrument on a new connection. Raises InstrumentError."""
        await self._talk.open_anew()
        self._is_wanted(await self._identification(), serial)

    async def _who(self, wanted: str) -> tuple[Identity, Model]:
        who = await self._identification()
        self._is_wanted(who, wanted)
        language = await self._talk.ask("*LANG?", wire.parse_word)
        if language != "SCPI":
            advice = "send *LANG SCPI and switch it off and on"
            raise WrongInstrument(f"it speaks {language}, not SCPI", instrument=self._instrument, sent="*LANG?", advice=advice)
        return Identity("Keithley", who.model, who.serial, who.firmware), MODELS[who.model]

    async def _identification(self) -> wire.Identification:
        try:
            return await self._talk.ask("*IDN?", wire.parse_identification)
        except BadReply as fault:
            what = "answers, but not as a Keithley in SCPI mode"
            raise WrongInstrument(what, instrument=self._instrument, sent=fault.sent, received=fault.received) from fault

    def _is_wanted(self, who: wire.Identification, serial: str) -> None:
        """Raises WrongInstrument."""
        if "KEITHLEY" not in who.maker.upper() or who.model not in MODELS:
            raise WrongInstrument(f"{who.maker} {who.model} is not one this driver knows", instrument=self._instrument)
        if serial and serial != who.serial:
            advice = "check the address, or the identity in the rig file"
            raise WrongInstrument(f"serial number {who.serial}, not {serial}", instrument=self._instrument, advice=advice)

    async def off_unheard(self) -> None:
        """Tell a silent instrument to open the circuit: it may hear, though it does not answer. Raises NotReachable."""
        await self._talk.open_anew()
        await self._talk.tell(":ABOR", ":OUTP OFF")
        self._talk.in_step = False

    async def rebooted(self) -> bool:
        """Was it switched on since anybody last asked? Asking clears the answer."""
        return bool(await self._talk.ask("*ESR?", wire.parse_integer) & wire.POWER_ON)

    # -------------------------------------------------------------------------------------------------------- setting up

    async def prepare(self, setup: Setup) -> None:
        """Everything for one step, read back; the output stays off. Raises InstrumentError."""
        if (await self._talk.trigger_state()).active:
            raise DeviceFault("a trigger model runs that is not ours", instrument=self._instrument)
        if await self._talk.output_on():
            raise DeviceFault("the output is on although nothing runs", instrument=self._instrument, advice="make it safe first")
        await self.rebooted()  # a mains dip while nothing ran: everything is set anew below
        await self._talk.complaints()
        await self._terminals(setup.options.terminals)
        await self.configure(setup)
        self.capacity = await self._talk.ask(f":TRAC:POIN? {wire.BUFFER}", wire.parse_integer)
        await self._build(setup)

    async def _terminals(self, wanted: str) -> None:
        """Only where the rig says which, and only where they are others."""
        if wanted and await self._talk.ask(":ROUT:TERM?", wire.parse_word) != TERMINALS[wanted]:
            await self._talk.tell(f":ROUT:TERM {TERMINALS[wanted]}")

    async def configure(self, setup: Setup) -> None:
        """Source, limits, fences, output-off state, each read back. Raises InstrumentError."""
        self._lowers = (low(setup.options),) if setup.order.ttl_out else ()
        await self._talk.tell(*commands(setup))
        await self._uncomplaining("the settings")
        for question, expected in read_back_numbers(setup):
            found = await self._talk.ask(question, wire.parse_number)
            if not agrees(found, expected):
                raise DeviceFault(f"{question} says {found:g}, not {expected:g}", instrument=self._instrument, sent=question)
        for question, word in read_back_words(setup):
            answer = await self._talk.ask(question, _bare)
            if answer != word:
                raise DeviceFault(f"{question} says {answer}, not {word}", instrument=self._instrument, sent=question)
        await self._need_high_impedance()

    async def _need_high_impedance(self) -> None:
        """A cell does not survive any other output-off state. Raises DeviceFault."""
        states = await self._talk.off_states()
        if states != (wire.HIGH_IMPEDANCE, wire.HIGH_IMPEDANCE):
            raise DeviceFault(
                f"its output-off state is {'/'.join(states)}, not high impedance: off, it would discharge the cell",
                instrument=self._instrument,
                sent=":OUTP:CURR:SMOD?",
            )

    async def _build(self, setup: Setup) -> None:
        model = blocks.model(setup)
        await self._talk.tell(*model)
        await self._uncomplaining("the trigger model")
        listing = await self._talk.listing()
        if listing and wire.parse_tag(listing) != setup.tag:
            raise DeviceFault("the trigger model does not read back as it was written", instrument=self._instrument, received=listing[:80])

    async def _uncomplaining(self, what: str) -> None:
        """Raises DeviceFault when the error queue is not empty."""
        if complaints := await self._talk.complaints():
            said = ", ".join(f"{complaint.code} {complaint.text}" for complaint in complaints[:3])
            raise DeviceFault(f"{what} refused: {said}", instrument=self._instrument, received=said)

    # ------------------------------------------------------------------------------------------------------------ moving

    async def look(self, setup: Setup, model: Model) -> wire.Row:
        """One reading with the output on at 0 A; off again after it. Off, in high impedance, nothing would be measured."""
        await self.configure(look_of(setup, model))
        await self._check_contacts(setup)
        await self._talk.tell(":OUTP ON")
        try:
            await self._clock.sleep(LOOK_SETTLE_S)
            rows = await self._talk.ask(f":READ? {wire.BUFFER},{wire.ELEMENTS}", lambda text: wire.parse_rows(text, 1))
        finally:
            if self._talk.in_step:
                await self._off()
        if math.isnan(rows[0].read):
            raise Rejected("no voltage at open circuit: beyond every range", instrument=self._instrument, did="nothing was started")
        return rows[0]

    async def _check_contacts(self, setup: Setup) -> None:
        """Where the rig asks for it. Raises Rejected."""
        if not setup.options.contact_check:
            return
        await self._talk.tell(":SYST:CCH:STAT ON")
        if not await self._talk.ask(":SYST:CCH?", wire.parse_switch):
            advice = "look at the clips and at the sense leads"
            raise Rejected(
                "its contact check says that a lead has no contact", instrument=self._instrument, sent=":SYST:CCH?", advice=advice
            )

    async def launch(self) -> int:
        """Run the model; returns when it was told to, by our clock. Raises Rejected when it certainly does not run."""
        await self._talk.tell(f":TRAC:CLE {wire.BUFFER}")
        await self._need_high_impedance()
        asked_ns = self._clock.mono_ns()
        self.initiated = True
        await self._talk.tell(":INIT")
        for _ in range(START_TRIES):
            if (await self._talk.trigger_state()).active:
                return asked_ns
            if await self.last_index():
                await asyncio.sleep(REFRESH_S)
                return asked_ns
            await asyncio.sleep(REFRESH_S)
        state = (await self._talk.trigger_state()).word
        complaints = await self._talk.complaints()
        await self.open_circuit()
        raise Rejected(
            f"the trigger model did not run: {state} {complaints[:1]}", instrument=self._instrument, sent=":INIT", did="the output is off"
        )

    async def last_index(self) -> int:
        """How far the buffer is filled."""
        return await self._talk.ask(":TRAC:ACT:END?", wire.parse_integer)

    async def open_circuit(self) -> int:
        """Stop the model, output off, high impedance; each read back: when the output was found off, by our clock.

        Raises InstrumentError when one of them is not so.
        """
        await self._talk.tell(":ABOR")
        await self._off()
        off_ns = self._clock.mono_ns()
        for _ in range(IDLE_TRIES):
            if not (await self._talk.trigger_state()).active:
                break
            await asyncio.sleep(REFRESH_S)
            await self._talk.tell(":ABOR")
        else:
            raise DeviceFault("the trigger model does not stop", instrument=self._instrument, sent=":ABOR")
        await self._talk.tell(*high_impedance())
        await self._need_high_impedance()
        await self._off()
        await self._talk.tell(*self._lowers)
        return off_ns

    async def _off(self) -> None:
        for _ in range(OFF_TRIES):
            await self._talk.tell(":OUTP OFF")
            if not await self._talk.output_on():
                return
        raise DeviceFault(
            "the output stays on",
            instrument=self._instrument,
            sent=":OUTP OFF",
            received="1",
            did=f"tried {OFF_TRIES} times",
            advice="go to the instrument and press OUTPUT",
        )


def _bare(text: str) -> str:
    """A word or a digit, without quotes and without what stands behind a colon (``"VOLT:DC"``)."""
    return text.strip().strip("\"'").upper().partition(":")[0]
