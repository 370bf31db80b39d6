"""A plain client of the marcos server, written from the public client's documentation: packets, machine code, a magnet with one line."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgpack
import numpy as np

from drivers.base import Context, Settings
from drivers.clock import Clock
from drivers.marcos.emulator import MarcosEmulator
from drivers.sim.physics import Scan

CLOCK_MHz = 122.88
CLIENT = (1, 0, 6)
TX_I, TX_Q, GATES, RX_CTRL = 5, 6, 15, 16
RX0_EN, RX0_RST_N, RX0_VALID = 1 << 8, 1 << 6, 1 << 4


class OneLine:
    """A Lorentzian of 7Li, 20 µs of 90° pulse where nobody says otherwise; no noise; remembers what it was asked."""

    def __init__(self, clock: Clock) -> None:
        self.t0_mono_ns = clock.mono_ns()
        self.shift_ppm = 0.0
        self.scans: list[Scan] = []
        self.told: list[str] = []

    def larmor_MHz(self, nucleus: str) -> float:
        if nucleus not in {"7Li", "23Na"}:
            raise ValueError(nucleus)
        return {"7Li": 116.642, "23Na": 79.39}[nucleus]

    def tell(self, t_s: float, what: str, **data: object) -> None:
        self.told.append(str(data.get("fault", what)))

    def acquire(self, scan: Scan) -> np.ndarray:
        self.scans.append(scan)
        t_s = np.arange(scan.points) / scan.spectral_width_Hz + scan.dead_s
        near_s = np.abs((t_s + 0.5 * scan.spacing_s) % scan.spacing_s - 0.5 * scan.spacing_s) if scan.spacing_s else t_s
        offset_Hz = (self.larmor_MHz(scan.nucleus) * (1 + self.shift_ppm * 1e-6) - scan.carrier_MHz) * 1e6
        size = 10000.0 * np.sin(np.radians(scan.tip_deg))
        return size * np.exp(2j * np.pi * offset_Hz * near_s - 500.0 * near_s)


class NoWire:
    def sent(self, data: bytes) -> None: ...

    def received(self, data: bytes) -> None: ...


# --------------------------------------------------------------------------------------------------------- machine code


def data(output: int, value: int, delay: int = 0) -> int:
    return 0x80 << 24 | output << 24 | delay << 16 | value & 0xFFFF


def wait(cycles: int) -> list[int]:
    """At least three."""
    words = []
    while cycles > 0xFFFFFF + 3:
        words.append(2 << 24 | 0xFFFFFF)
        cycles -= 0xFFFFFF + 3
    return [*words, 2 << 24 | cycles - 3] if cycles >= 3 else [*words, *[0] * cycles]


FINISH = 1 << 24


class Score:
    """Values at cycles, turned into machine code: one output after the other, each a cycle, with waits between."""

    def __init__(self) -> None:
        self.events: list[tuple[int, int, int]] = []

    def at(self, us: float, output: int, value: int) -> Score:
        self.events.append((round(us * CLOCK_MHz), output, value))
        return self

    def begin(self, lo_MHz: float, divider: int) -> Score:
        """Oscillator, receiver's rate with its shift, as the public client does at the start."""
        step = round(lo_MHz / CLOCK_MHz * 2**31) & 0x7FFFFFFF
        shift = int(6 * np.log2(4096 / divider))
        self.at(0.5, 9, step & 0xFFFF).at(0.5, 10, step >> 16).at(0.5, RX_CTRL, RX0_RST_N)
        self.at(1.0, 3, 1 << 14 | shift).at(1.1, RX_CTRL, RX0_RST_N | RX0_VALID).at(1.2, 3, divider).at(1.3, RX_CTRL, RX0_RST_N)
        return self

    def pulse(self, us: float, lasts_us: float, amplitude: float = 1.0, phase_deg: float = 0.0, *, gate: bool = True) -> Score:
        tip = amplitude * np.exp(1j * np.radians(phase_deg)) * 32767
        for at_us, value in ((us, tip), (us + lasts_us, 0j)):
            self.at(at_us, TX_I, round(value.real)).at(at_us, TX_Q, round(value.imag))
        return self.at(us - 0.2, GATES, int(gate)).at(us + lasts_us + 0.2, GATES, 0) if gate else self

    def receive(self, us: float, lasts_us: float) -> Score:
        return self.at(us, RX_CTRL, RX0_RST_N | RX0_EN).at(us + lasts_us, RX_CTRL, RX0_RST_N)

    def code(self, *, finish: bool = True) -> bytes:
        words: list[int] = []
        now = 0
        for cycle, output, value in sorted(self.events):
            words += wait(max(0, cycle - now))
            now = max(now, cycle) + 1
            words.append(data(output, value))
        return np.array([*words, *([FINISH] if finish else [])], dtype="<u4").tobytes()


def one_pulse(lo_MHz: float = 116.6, divider: int = 1024, pulse_us: float = 8.0, points: int = 256, **more: Any) -> Score:
    """A pulse at 20 µs, and the receiver 10 µs after its end."""
    window_us = (points + 0.5) * divider / CLOCK_MHz
    return Score().begin(lo_MHz, divider).pulse(20.0, pulse_us, **more).receive(30.0 + pulse_us, window_us)


# --------------------------------------------------------------------------------------------------------------- client


def samples(found: Mapping[str, Any], divider: int = 1024) -> np.ndarray:
    """complex128: what the public client makes of an answer: 1 is the full scale."""
    gain = 6 * np.log2(4096 / divider)
    factor = 2 ** (gain - int(gain)) / 2**24
    parts = [np.array(found[f"rx0_{name}"], dtype=np.uint32).astype(np.int32).astype(float) for name in "iq"]
    return factor * (parts[0] + 1j * parts[1])


class Host:
    """The emulator, and one client of it."""

    def __init__(self, clock: Clock, network: Any, **options: Any) -> None:
        self.clock, self.network = clock, network
        self.twin = options.pop("twin", None) or OneLine(clock)
        settings = Settings("marcos", "marcos", "", options=options)
        self.emulator = MarcosEmulator(settings, Context(clock, network, NoWire(), self.twin))
        self.stream: Any = None
        self.index = 0

    async def begin(self) -> None:
        self.address = await self.emulator.start()
        await self.connect()

    async def end(self) -> None:
        await self.stream.close()
        await self.emulator.stop()

    async def connect(self) -> None:
        self.stream = await self.network.connect("127.0.0.1", self.emulator.port)
        self.unpacker = msgpack.Unpacker()

    async def ask(self, commands: Any, kind: int = 0, version: tuple[int, int, int] = CLIENT) -> list[Any]:
        """The whole reply."""
        major, minor, debug = version
        self.index += 2
        await self.stream.write(msgpack.packb([kind, self.index, 0, major << 16 | minor << 8 | debug, commands]))
        return await self.reply()

    async def reply(self) -> list[Any]:
        while True:
            for found in self.unpacker:
                return list(found)
            got = await self.stream.read(65536)
            if not got:
                raise EOFError
            self.unpacker.feed(got)

    async def run(self, score: Score, divider: int = 1024) -> np.ndarray:
        found = await self.ask({"run_seq": score.code()})
        assert "errors" not in found[5], found[5]
        return samples(found[4]["run_seq"], divider)
