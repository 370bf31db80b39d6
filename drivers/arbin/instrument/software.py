"""MITS Pro in front of a cycler: which channels there are, what each request is answered by.

Result codes are those that the public client names. Inferred: what is asked before the log-in, of a channel that is not there, or in a
command that is not known is not answered; a channel info is always of one channel; the schedule's name is looked up without regard to case;
a meta variable that is no number is refused.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Any

from drivers.arbin.instrument import messages
from drivers.arbin.instrument.channel import IDLE, Channel
from drivers.arbin.instrument.messages import ASSIGN, INFO, LOGIN, META_CODES, SET_MV, START, STOP, Requests
from drivers.arbin.instrument.schedule import BUILT_IN, END, REST, STEP_TIME, Schedule, read
from drivers.sim.switches import Faults

SUCCESS, NO_CHANNEL, IN_USE = 0, 16, 17
NO_SCHEDULE_NAME, SCHEDULE_NOT_FOUND, ASSIGN_RUNNING, ASSIGN_FAILED = 18, 19, 20, 23
START_RUNNING, NOTHING_ASSIGNED, NO_CHANNELS, TEST_NAME = 18, 21, 31, 35
NOT_SET, NOT_RUNNING, NO_META_CODE = 16, 17, 18
LOGGED_IN, REFUSED, ALREADY = 1, 2, 3
GUEST_SCHEDULE = "guest.sdx"

Fields = Mapping[str, Any]


class Software:
    """``channels`` from 0, as the wire counts them; ``mine``: the one with the cell, which the faults are about."""

    def __init__(
        self,
        channels: Mapping[int, Channel],
        faults: Faults,
        options: Mapping[str, Any],
        *,
        now_s: Callable[[], float],
        mine: int,
    ) -> None:
        self.channels, self.faults, self.mine = channels, faults, mine
        self._now_s = now_s
        self.user, self.password = options.get("user"), options.get("password")
        self.serial = str(options.get("serial", "207855"))
        self.schedules = {name.lower(): read(name, one) for name, one in {**BUILT_IN, **options.get("schedules", {})}.items()}
        self.tests: list[str] = []
        self.odd: list[str] = []
        """What was not as the public client writes it, and what was not answered."""
        self._stale: dict[int, dict[str, Any]] = {}

    # ----------------------------------------------------------------------------------------------------------- who, what

    def login(self, asked: Fields, *, again: bool) -> tuple[bool, bytes]:
        """Is the connection logged in now, and the answer."""
        wanted = {"user": self.user, "password": self.password}
        right = all(value is None or asked[name] == str(value) for name, value in wanted.items())
        if not right or self.faults.use("login_refused"):
            return False, messages.answer(LOGIN, {"result": REFUSED, "serial": self.serial})
        result = ALREADY if again or "logged_in_already" in self.faults else LOGGED_IN
        found = {"result": result, "ip": b"\x7f\0\0\x01", "serial": self.serial, "channels": len(self.channels), "user_type": 1}
        return True, messages.answer(LOGIN, {**found, "allow_control": int("no_control" not in self.faults)})

    def info(self, asked: Fields) -> bytes | None:
        """One channel as it is now."""
        number = int(asked["channel"])
        channel = self.channels.get(number)
        if channel is None:
            self.odd.append(f"channel {number} is asked for, and not there")
            return None
        found = self._known(number, channel)
        return messages.answer(INFO, {**found, "count": 1, "channel": self._named(number), "master_channel": self._named(number)})

    def _known(self, number: int, channel: Channel) -> dict[str, Any]:
        """What the computer has last been sent by the cycler."""
        old = number == self.mine and ("stale" in self.faults or "comm_failure" in self.faults)
        if not old:
            self._stale.pop(number, None)
            found = channel.info()
            if number == self.mine and "not_a_number" in self.faults:
                found |= dict.fromkeys(("voltage_V", "current_A", "power_W"), float("nan"))
            return found
        return {**self._stale.setdefault(number, channel.info()), "comm_failure": int("comm_failure" in self.faults)}

    def remember(self) -> None:
        """News end here: what is known now is what is said from now on."""
        self._stale.setdefault(self.mine, self.channels[self.mine].info())

    def _named(self, number: int) -> int:
        return number + 1 if "wrong_channel" in self.faults else number

    def _feedback(self, request: int, number: int, result: int) -> bytes:
        return messages.answer(request, {"channel": self._named(number) & 0xFFFFFFFF, "result": result})

    # ------------------------------------------------------------------------------------------------------- what is told

    def obey(self, request: int, asked: Fields) -> bytes:
        """Assign, start, stop or set, and the answer."""
        number = int(asked["channel"])
        channel = self.channels.get(number)
        if channel is None:
            result = NO_CHANNEL
        elif request != SET_MV and (("no_control" in self.faults) or self.faults.use("monitor_in_use")):
            result = IN_USE
        else:
            verb = {ASSIGN: self._assign, START: self._start, STOP: self._stop, SET_MV: self._set}[request]
            result = verb(number, channel, asked)
        return self._feedback(request, number, result)

    def _assign(self, _number: int, channel: Channel, asked: Fields) -> int:
        name = str(asked["schedule"])
        if not name:
            return NO_SCHEDULE_NAME
        if "schedule_missing" in self.faults or name.lower() not in self.schedules:
            return SCHEDULE_NOT_FOUND
        if not channel.free:
            return ASSIGN_RUNNING
        mv = [float(asked[f"MV_UD{n}"]) for n in range(1, 17)]
        if not all(map(math.isfinite, mv)):
            return ASSIGN_FAILED
        channel.assign(name, self.schedules[name.lower()], mv, str(asked["barcode"]))
        return SUCCESS

    def _start(self, number: int, channel: Channel, asked: Fields) -> int:
        """A test's name is needed, and only once: the vendor calls that code ``TEXTNAME_EXITS``, the client "cannot be empty"."""
        mine, test = number == self.mine, str(asked["test"])
        if asked["count"] != 1:
            return NO_CHANNELS
        if mine and (fault := self.faults.use("start_refused")):
            return int(fault["code"])
        if not channel.free:
            return START_RUNNING
        if not channel.assigned:
            return NOTHING_ASSIGNED
        if not test or test in self.tests:
            return TEST_NAME
        self.tests.append(test)
        if not (mine and self.faults.use("start_ignored")):
            channel.start(test)
            channel.advance(self._now_s())
        return SUCCESS

    def _stop(self, number: int, channel: Channel, _asked: Fields) -> int:
        """Success also where nothing runs, as the public client says."""
        mine = number == self.mine
        if mine and self.faults.use("stop_refused"):
            return IN_USE
        if not (mine and self.faults.use("stop_deaf")) and (channel.run is not None or not channel.free):
            channel.stop(status=IDLE)
        return SUCCESS

    def _set(self, _number: int, channel: Channel, asked: Fields) -> int:
        if asked["code"] not in META_CODES:
            return NO_META_CODE
        if channel.run is None:
            return NOT_RUNNING
        if asked["type"] != 1 or asked["value_type"] != 1 or not math.isfinite(asked["value"]) or "no_control" in self.faults:
            return NOT_SET
        channel.set_variable(META_CODES[asked["code"]] - 1, float(asked["value"]))
        return SUCCESS

    # --------------------------------------------------------------------------------------------------------------- others

    def guest(self, number: int, seconds: float, test: str) -> bool:
        """Somebody else starts a rest on a channel; False while it is not free."""
        channel = self.channels[number]
        if not channel.free:
            return False
        rest = {"label": "Step_A", "control": REST, "limits": [f"{STEP_TIME} >= {seconds} -> {END}"]}
        schedule: Schedule = read(GUEST_SCHEDULE, {"steps": [rest]})
        channel.assign(GUEST_SCHEDULE, schedule, [0.0] * 16, "")
        channel.start(test)
        return True

    # -------------------------------------------------------------------------------------------------------------- state

    def snapshot(self) -> dict[str, Any]:
        """Plain data: the names that are used, and what is said of a channel that there is no news of."""
        return {"tests": list(self.tests), "old": {str(n): dict(found) for n, found in self._stale.items()}}

    def restore(self, state: Mapping[str, Any]) -> None:
        """Go on from a snapshot."""
        self.tests = list(state["tests"])
        self._stale = {int(n): dict(found) for n, found in state["old"].items()}


class Session:
    """One connection."""

    def __init__(self, software: Software) -> None:
        self._software = software
        self._requests = Requests()
        self._requests.odd = software.odd
        self._logged_in = False

    def hear(self, data: bytes) -> list[bytes]:
        """The answers to what is complete by now."""
        found = [self._answer(message) for message in self._requests.feed(data)]
        return [self._sent(one) for one in found if one is not None]

    def over(self) -> None:
        """A test goes on without whoever started it."""

    def _answer(self, message: bytes) -> bytes | None:
        request, asked = messages.command_of(message), messages.read(message)
        if request == LOGIN:
            self._logged_in, found = self._software.login(asked, again=self._logged_in)
            return found
        if not self._logged_in or request not in messages.ANSWERS:
            self._software.odd.append(f"{request:08X} is not answered: {'unknown' if self._logged_in else 'nobody logged in'}")
            return None
        return self._software.info(asked) if request == INFO else self._software.obey(request, asked)

    def _sent(self, data: bytes) -> bytes:
        if self._software.faults.use("bad_checksum"):
            return data[:-2] + bytes((data[-2] ^ 0x55, data[-1]))
        return data
