"""What can go wrong with an instrument, as one tree.

InstrumentError                which instrument, what was sent, what came back, what was done, what to do
├── NotReachable               nothing answers at the address (no port, refused, silent)
├── WrongInstrument            something answers, but it is not the instrument the rig names
├── Rejected                   the instrument refused: certainly nothing moved
├── OutcomeUnknown             sent, but not confirmed: it may or may not have happened
├── BadReply                   bytes came back that the protocol does not allow
├── DeviceFault                the instrument reports a fault of its own
├── NotSupported               this instrument cannot do what was asked
├── Exhausted                  a recording has nothing more to give
├── NotRegistered              no driver or emulator of this name is installed: nothing was asked of any instrument
└── Diverged                   the driver does something else than was recorded
"""

from __future__ import annotations


class InstrumentError(Exception):
    """An instrument did not do what was asked.

    ``instrument``, ``sent``, ``received``: what a person needs to find the fault; ``did``: what the program did about
    it; ``advice``: what the person can do.
    """

    def __init__(
        self,
        message: str,
        *,
        instrument: str = "",
        sent: str | bytes = "",
        received: str | bytes = "",
        did: str = "",
        advice: str = "",
    ) -> None:
        super().__init__(message)
        self.message = message
        self.instrument = instrument
        self.sent = sent
        self.received = received
        self.did = did
        self.advice = advice

    def __str__(self) -> str:
        lines = [f"{self.instrument}: {self.message}" if self.instrument else self.message]
        lines += [
            f"  {label}: {value!r}" if isinstance(value, bytes) else f"  {label}: {value}"
            for label, value in (("sent", self.sent), ("came back", self.received), ("done", self.did), ("you can", self.advice))
            if value
        ]
        return "\n".join(lines)


class NotReachable(InstrumentError):
    """Nothing answers at the address."""


class WrongInstrument(InstrumentError):
    """Something answers, but it is not the instrument the rig names."""


class Rejected(InstrumentError):
    """The instrument refused: certainly nothing moved."""


class OutcomeUnknown(InstrumentError):
    """Sent, but not confirmed: it may or may not have happened."""


class BadReply(InstrumentError):
    """Bytes came back that the protocol does not allow."""


class DeviceFault(InstrumentError):
    """The instrument reports a fault of its own."""


class NotSupported(InstrumentError):
    """This instrument cannot do what was asked."""


class Exhausted(InstrumentError):
    """A recording has nothing more to give."""


class Diverged(InstrumentError):
    """The driver does something else than was recorded."""


class NotRegistered(InstrumentError):
    """No driver, emulator or twin of this name is installed; raised before anything is opened."""
