"""The BTS software in front of a cycler: which channels there are, what each request is answered by."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

from drivers.clock import Clock
from drivers.neware.instrument import stepfile
from drivers.neware.instrument.channel import PROTECT, STOP, WORKING, Channel
from drivers.neware.instrument.messages import Element, Malformed, answer, listed, read, row
from drivers.neware.instrument.stepfile import REST, TYPES, BadStepFile
from drivers.sim.switches import Faults

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
MOST_ROWS = 1000
DEVTYPE = "27"
LOG_WORKING = 102000
WINDOWS = re.compile(r"^([A-Za-z]):[\\/]")
USER, PASSWORD = "admin", "neware"

Place = tuple[int, int]
"""Sub-device and channel."""


class Disk:
    """``root``: what the PC calls ``shown_as`` ("" = by its name here); other Windows paths lie below ``<folder>/disk``."""

    def __init__(self, folder: Path, root: Path, shown_as: str) -> None:
        self.folder = folder
        self.root = root
        self.shown_as = shown_as

    def local(self, shown: str) -> Path:
        """Where a file of the PC lies here."""
        parts, top = _parts(shown), _parts(self.shown_as)
        if top and [part.lower() for part in parts[: len(top)]] == [part.lower() for part in top]:
            return self.root.joinpath(*parts[len(top) :])
        if match := WINDOWS.match(shown):
            return self.folder.joinpath("disk", match[1].upper(), *_parts(shown[match.end() :]))
        return Path(shown) if Path(shown).is_absolute() else self.root.joinpath(*parts)


def _parts(text: str) -> list[str]:
    return [part for part in re.split(r"[\\/]", text) if part not in ("", ".", "..")]


class Software:
    """``channels``: by sub-device and number. Answers are bytes; what changes a channel changes it at once."""

    def __init__(
        self,
        channels: Mapping[Place, Channel],
        faults: Faults,
        disk: Disk,
        clock: Clock,
        options: Mapping[str, Any],
        *,
        now_s: Callable[[], float],
        mine: Place,
    ) -> None:
        self.channels = channels
        self.faults = faults
        self.disk = disk
        self.clock = clock
        self.now_s = now_s
        self.mine = mine
        self.most_rows = MOST_ROWS
        self.devid = str(options.get("devid", 21))
        self.ip = str(options.get("ip", "127.0.0.1"))
        self.zone = ZoneInfo(str(options.get("zone", "UTC")))
        self.tests = int(options.get("tests", 142))
        self.refusals: list[str] = []
        """Why a start was answered by false: the software says so on its screen only."""
        self._stale: dict[str, dict[Place, str]] = {}

    # -------------------------------------------------------------------------------------------------------- the request

    def hear(self, message: bytes) -> tuple[str, bytes] | None:
        """The command and the answer; None where nothing is said: what is no message is ignored (inferred)."""
        now_s = self.now_s()
        for channel in self.channels.values():
            channel.advance(now_s)
        try:
            command, root = read(message)
        except Malformed:
            return None
        return command, answer(command, self._lines(command, root))

    def _lines(self, command: str, root: Element) -> list[str]:
        """What is unknown, or asks with something that is no number, is answered by false (inferred)."""
        handle = getattr(self, f"_on_{command}", None)
        try:
            return ["  <result>false</result>"] if handle is None else list(handle(root))
        except ValueError:
            return ["  <result>false</result>"]

    def _asked(self, root: Element, name: str) -> list[tuple[Element, Place, Channel | None]]:
        found = []
        for one in root.iter(name):
            try:
                place = (int(one.get("subdevid", "")), int(one.get("chlid", "")))
            except ValueError:
                continue
            known = one.get("devid") == self.devid
            found.append((one, place, self.channels.get(place) if known else None))
        return found

    def _where(self, place: Place, *, ip: bool = True, quirk: bool = False) -> dict[str, object]:
        """How an answer names a channel; the sub-device is 1 where the software errs."""
        subdevid = 1 if quirk or "wrong_channel" in self.faults else place[0]
        head: dict[str, object] = {"ip": self.ip} if ip else {}
        return {**head, "devtype": DEVTYPE, "devid": self.devid, "subdevid": subdevid, "chlid": place[1]}

    # ----------------------------------------------------------------------------------------------------------- who, what

    def _on_connect(self, root: Element) -> list[str]:
        right = (root.findtext("username"), root.findtext("password"), root.findtext("type")) == (USER, PASSWORD, "bfgs")
        refused = self.faults.use("connect_refused")
        return [f"  <result>{'ok' if right and not refused else 'false'}</result>"]

    def _on_getdevinfo(self, _root: Element) -> list[str]:
        servers = [row("server", {"ip": self.ip, "port": 3306})]
        channels = [] if "no_devices" in self.faults else sorted(self.channels.items())
        rows = []
        for place, channel in channels:
            named = self._where(place)
            named["Channelid"] = named.pop("chlid")
            rows.append(row("channel", named, "false" if channel.status == WORKING else "true"))
        middle = listed(rows, "middle") if rows else ['  <middle count="0">', "</middle>"]
        return [*listed(servers, "serverip"), *middle]

    def _on_getchlstatus(self, root: Element) -> list[str]:
        rows = []
        for _, place, channel in self._asked(root, "status"):
            if channel is not None:
                text = self._as_it_was("getchlstatus", place, channel.status)
                rows.append(row("status", {**self._where(place, quirk=True), "reservepause": 1}, text))
        return listed(rows)

    def _as_it_was(self, what: str, place: Place, text: str) -> str:
        kept = self._stale.setdefault(what, {})
        if "stale" in self.faults and place in kept:
            return kept[place]
        kept[place] = text
        return text

    def _on_inquire(self, root: Element) -> list[str]:
        rows = [
            self._as_it_was("inquire", place, self._inquired(place, channel))
            for _, place, channel in self._asked(root, "inquire")
            if channel is not None
        ]
        return listed(rows)

    def _inquired(self, place: Place, channel: Channel) -> str:
        """Currents and charges in steps of 0.1 mA and 0.1 mAh, as captured."""
        subdevid = 1 if "wrong_channel" in self.faults else place[0]
        shown: dict[str, object] = {"dev": f"{DEVTYPE}-{self.devid}-{subdevid}-{place[1]}-0"}
        run, step = channel.run, channel.step
        voltage_V, current_A = self._said(*channel.read())
        if run is None or step is None:
            shown |= {"cycle_id": 1, "step_type": "--", "workstatus": channel.status, "barcode": channel.barcode, "current": 0}
            shown |= {"voltage": _coarse(voltage_V), "capacity": 0, "energy": 0, "totaltime": 0, "relativetime": 0}
            return row("inquire", shown | {"open_or_close": 0, "log_code": 0})
        shown |= {"cycle_id": run["cycle"], "step_id": step["id"], "step_type": TYPES[step["type"]], "workstatus": channel.status}
        shown |= {"barcode": channel.barcode, "current": _coarse(current_A), "voltage": _coarse(voltage_V)}
        shown |= {"capacity": _coarse(run["charge_C"] / 3600.0), "energy": _coarse(run["energy_J"] / 3600.0)}
        shown |= {"totaltime": f"{channel.test_s:.1f}".removesuffix(".0")}
        shown |= {"relativetime": f"{channel.step_s:.1f}".removesuffix(".0"), "open_or_close": 0, "log_code": LOG_WORKING}
        return row("inquire", shown)

    # ------------------------------------------------------------------------------------------------------ start and stop

    def _on_start(self, root: Element) -> list[str]:
        rows = []
        for one, place, channel in self._asked(root, "start"):
            done = channel is not None and self._start(channel, place, (one.text or "").strip(), one.get("barcode", ""))
            rows.append(row("start", self._where(place), "ok" if done else "false"))
        return listed(rows)

    def _start(self, channel: Channel, place: Place, path: str, barcode: str) -> bool:
        mine = place == self.mine
        if mine and self.faults.use("start_refused"):
            self.refusals.append("somebody has forbidden it")
            return False
        if not channel.free:
            self.refusals.append(f"the channel is {channel.status}")
            return False
        try:
            program = stepfile.read(self.disk.local(path).read_bytes())
        except (OSError, BadStepFile) as error:
            self.refusals.append(f"{path}: {error}")
            return False
        if not (mine and self.faults.use("start_ignored")):
            self.begin(channel, program, barcode)
        return True

    def begin(self, channel: Channel, program: stepfile.Program, barcode: str) -> None:
        """A new test under the next number."""
        self.tests += 1
        channel.start(program, barcode, self.tests)
        channel.advance(self.now_s())

    def _on_stop(self, root: Element) -> list[str]:
        rows = []
        for one, place, channel in self._asked(root, "stop"):
            done = channel is not None and (one.text or "").strip() == "true" and self._stop(channel, place)
            rows.append(row("stop", self._where(place), "ok" if done else "false"))
        return listed(rows)

    def _stop(self, channel: Channel, place: Place) -> bool:
        """False where nothing runs (inferred)."""
        if channel.free or (place == self.mine and self.faults.use("stop_refused")):
            return False
        if not (place == self.mine and self.faults.use("stop_deaf")):
            channel.stop()
        return True

    def _on_light(self, root: Element) -> list[str]:
        found = self._asked(root, "light")
        return listed(row("light", self._where(place), "false" if channel is None else "ok") for _, place, channel in found)

    def _on_clearflag(self, root: Element) -> list[str]:
        """Ok where there is a flag to clear (inferred; false without one is captured)."""
        rows = []
        for _, place, channel in self._asked(root, "clearflag"):
            flagged = channel is not None and channel.status == PROTECT
            if channel is not None and flagged:
                channel.status = STOP
            rows.append(row("clearflag", self._where(place), "ok" if flagged else "false"))
        return listed(rows)

    # ---------------------------------------------------------------------------------------------------------------- data

    def _known(self, channel: Channel, rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
        """What the PC has already been sent by the cycler."""
        if "rows_late" not in self.faults or channel is not self.channels.get(self.mine):
            return rows
        until_s = self.now_s() - float(self.faults["rows_late"]["seconds"])
        return [one for one in rows if one["at_s"] <= until_s]

    def _on_inquiredf(self, root: Element) -> list[str]:
        rows = []
        for _, place, channel in self._asked(root, "chl"):
            if channel is not None:
                head = {**self._where(place, ip=False), "testid": channel.test, "count": len(self._known(channel, channel.rows))}
                rows.append(row("chl", head, "false" if channel.status == WORKING else "true"))
        return listed(rows)

    def _on_download(self, root: Element) -> list[str]:
        """At most 1000 rows from ``startpos`` on, which counts from 1."""
        lines: list[str] = []
        for one, place, channel in self._asked(root, "download")[:1]:
            start, count = int(one.get("startpos") or 0), int(one.get("count") or 0)
            test = 0 if channel is None else channel.test
            head = {**self._where(place, ip=False), "testid": test, "startpos": start, "count": count, "auxid": one.get("auxid", "0")}
            known = [] if channel is None or not self._wanted(one, channel) else self._known(channel, channel.rows)
            first = max(start, 1) - 1
            chosen = known[first : first + min(count, self.most_rows)]
            lines = [f"  {row('download', head)}", *listed(self._data(first + 1 + n, found) for n, found in enumerate(chosen))]
        return lines

    def _wanted(self, one: Element, channel: Channel) -> bool:
        """The latest test (0), or by its number; earlier ones are not kept here."""
        return one.get("testid", "0") in {"0", str(channel.test)}

    def _data(self, number: int, found: Mapping[str, Any]) -> str:
        shown: dict[str, object] = {"seqid": number, "stepid": found["stepid"], "cycleid": found["cycleid"], "steptype": found["steptype"]}
        shown |= {"testtime": round(found["step_s"] * 1e3), "atime": self._at(found["at_s"])}
        voltage_V, current_A = self._said(found["volt"], found["curr"])
        shown |= {"volt": _fine(voltage_V), "curr": _fine(current_A)}
        return row("data", shown | {name: _fine(found[name]) for name in ("cap", "eng")})

    def _said(self, voltage_V: float, current_A: float) -> tuple[float, float]:
        return (math.nan, math.nan) if "not_a_number" in self.faults else (voltage_V, current_A)

    def _on_downloadStepLayer(self, root: Element) -> list[str]:
        lines: list[str] = []
        for one, place, channel in self._asked(root, "downloadStepLayer")[:1]:
            test = 0 if channel is None else channel.test
            known = [] if channel is None or not self._wanted(one, channel) else self._known(channel, channel.layers)
            head = row("downloadStepLayer", {**self._where(place, ip=False), "testid": test})
            lines = [f"  {head}", *listed(self._layer(found) for found in known)]
        return lines

    def _layer(self, found: Mapping[str, Any]) -> str:
        names = ("startseqid", "endseqid", "stepindex", "stepid", "cycleid", "steptype")
        shown: dict[str, object] = {name: found[name] for name in names}
        shown |= {"steptime": round(found["step_s"] * 1e3), "endatime": self._at(found["at_s"])}
        numbers = ("startvolt", "endvolt", "startcurr", "endcurr", "cap", "eng")
        return row("data", shown | {name: _fine(found[name]) for name in numbers} | {"dcir": 0})

    def _on_downloadlog(self, root: Element) -> list[str]:
        lines: list[str] = []
        for _, place, channel in self._asked(root, "download")[:1]:
            test, log = (0, []) if channel is None else (channel.test, channel.log)
            head = row("download", {**self._where(place, ip=False), "testid": test, "log_lever": 0})
            rows = [row("data", {"seqid": one["seqid"], "log_code": one["log_code"], "atime": self._at(one["at_s"])}) for one in log]
            lines = [f"  {head}", *listed(rows)]
        return lines

    def _at(self, t_s: float) -> str:
        """The PC's local time at an instant, without a zone."""
        off_s = float(self.faults["clock_off"]["seconds"]) if "clock_off" in self.faults else 0.0
        utc_ns = self.clock.utc_ns() + round((t_s - self.now_s() + off_s) * 1e9)
        return f"{(EPOCH + timedelta(microseconds=utc_ns // 1000)).astimezone(self.zone):%Y-%m-%d %H:%M:%S}"

    # --------------------------------------------------------------------------------------------------------------- others

    def guest(self, place: Place, seconds: float, barcode: str) -> bool:
        """Somebody else starts a rest on a channel; False while it is not free."""
        channel = self.channels[place]
        if not channel.free:
            return False
        rest = {"id": 1, "type": REST, "time_s": seconds}
        record = {"time_s": 1.0, "voltage_V": 0.0, "current_A": 0.0}
        program = {"steps": [rest, {"id": 2, "type": stepfile.END}], "protect": {"delay_s": 0.0}, "record": record}
        self.begin(channel, program, barcode)
        return True


def _coarse(value: float) -> str:
    return f"{value:.4f}".rstrip("0").rstrip(".") if round(value, 4) else "0"


def _fine(value: float) -> str:
    return f"{value:.15g}"
