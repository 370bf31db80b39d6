"""The program: its current data set, the functions of ``TopCmds`` (asynchronous here), and what its users do to it.

``call`` is what a script's call becomes; it returns plain data or raises ``ScriptError`` with TopSpin's words. Where the document
does not say how a failure shows, it is marked inferred.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

from drivers.clock import Clock
from drivers.sim.physics import Physics
from drivers.sim.switches import Faults
from drivers.topspin.console import dataset, names, standard, templates
from drivers.topspin.console.commands import Commands
from drivers.topspin.console.dataset import Place
from drivers.topspin.console.dialogs import Screen
from drivers.topspin.console.jcamp import ParameterFile, Value
from drivers.topspin.console.server import AcquisitionServer
from drivers.topspin.console.site import Site

FOREIGN_NAME = "practical_course"
TEMPLATES = "templates"


class ScriptError(Exception):
    """What a script sees as a ``java.lang.Exception``."""


class TopSpin:
    """One running program in front of an acquisition server."""

    def __init__(self, clock: Clock, twin: Physics, site: Site, faults: Faults) -> None:
        self.clock = clock
        self.twin = twin
        self.site = site
        self.faults = faults
        self.screen = Screen(clock)
        self.server = AcquisitionServer(clock, twin, site, faults)
        self.commands = Commands(self)
        self.current: Place | None = None
        self.lost: set[str] = set()
        """Data sets to which every PUTPAR is lost."""
        self.handles: dict[int, asyncio.Task[Any]] = {}
        self._next_handle = 0
        self._before: Any = ""
        self._unwatched = 0
        self._tasks: set[asyncio.Task[Any]] = set()
        self.functions: dict[str, Callable[..., Coroutine[Any, Any, Any]]] = {
            name[1:]: function for name in dir(self) if name[:1] == "_" and name[1:].isupper() and callable(function := getattr(self, name))
        }

    # ------------------------------------------------------------------------------------------------------------- life

    def make(self) -> None:
        """The folders, and the site's templates where they are not there yet."""
        self.site.make()
        for name, template in templates.SITE.items():
            with suppress(KeyError, ValueError):  # a nucleus that the twin does not have
                self._make_template(name, template)
        self.current = self.current or self.site.place(TEMPLATES, 1)

    def _make_template(self, name: str, template: Mapping[str, Any]) -> None:
        place = self.template(name)
        if dataset.exists(place):
            return
        acqu = templates.acqu(self.site.release, template, self.twin.larmor_MHz, self.site.reference_off_Hz)
        proc = templates.proc(template, self.twin.larmor_MHz)
        self.create(place, acqu, proc, f"{name}\nthe site's own, clone it")

    def template(self, name: str) -> Place:
        """Where a template of the site lies: ``templates/<name>/1`` below the root."""
        place = self.site.place(name, 1)
        return place if place.user else Place(name, "1", "1", str(self.site.root / TEMPLATES))

    def create(self, place: Place, acqu: dict[str, Value], proc: dict[str, Value], title: str = "") -> None:
        """A new data set with these parameters."""
        when, title_of = self.site.local(), f"Parameter file, {self.site.release.title}"
        files = [
            ParameterFile(title_of, self.site.desk.user, values, self.site.remarks(path, process, when))
            for values, path, process in ((acqu, place.path / "acqu", "dataserver"), (proc, place.pdata / "proc", "edparproc"))
        ]
        dataset.create(place, files[0], files[1], title=title, pulse_program=templates.PULSE_PROGRAM)

    def start(self) -> None:
        """Live."""
        self.server.start()

    async def stop(self) -> None:
        """Stop; what runs in the acquisition server stays as it is."""
        await self.close()
        await self.server.stop()

    async def close(self) -> None:
        """The program goes (a crash, or the end): its threads end, the acquisition server lives on."""
        for task in list(self._tasks):
            task.cancel()
            with suppress(asyncio.CancelledError):
                await task
        self.handles.clear()

    def keep(self, work: Coroutine[Any, Any, Any]) -> asyncio.Task[Any]:
        """A task of the program's own, ended with it."""
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return task

    # ------------------------------------------------------------------------------------------------------------ calls

    async def call(self, name: str, *arguments: Any) -> Any:
        """A function of ``TopCmds``; raises ScriptError."""
        function = self.functions.get(name)
        if function is None:
            raise ScriptError(f"name '{name}' is not defined")
        if name not in {"XCPR", "SLEEP"}:
            await self._unblocked()
        try:
            answer = await function(*arguments)
        except names.NoParameter as refused:
            raise ScriptError(str(refused)) from None
        except (OSError, ValueError) as fault:
            raise ScriptError(str(fault)) from None
        return self._in_step(name, answer)

    async def _unblocked(self) -> None:
        """A modal dialog holds every call up that goes through the program's windows."""
        while (fault := self.faults.on.get("dialog")) is not None:
            await self.screen.ask("modal dialog", "fault", seconds=fault["seconds"])
            self.faults.clear("dialog")

    def _in_step(self, name: str, answer: Any) -> Any:
        """Answers of the call before, where command and response are out of step."""
        if not name.startswith("GETPAR"):
            return answer
        if self._unwatched and self.faults.use("queue_desync") is not None:
            answer, self._before = self._before, answer
            return answer
        self._before = answer
        return answer

    def refused_to_all(self) -> bool:
        """Somebody else has locked the session: nothing is done, and the status line says so (inferred)."""
        if "locked_by_user" in self.faults:
            self.screen.status = f"TopSpin is locked by {self.faults['locked_by_user']['user']}"
            return True
        return False

    # ------------------------------------------------------------------------------------------------ data set functions

    async def _CURDATA(self) -> list[str]:
        return self.current.words if self.current is not None else []

    async def _RE(self, words: list[str], _show: str = "y") -> None:
        await self.show(Place.of(words))

    async def _RE_PATH(self, path: str, _show: str = "y") -> None:
        await self.show(Place.at(path))

    async def _RE_IEXPNO(self) -> None:
        await self.show(self.here().next())

    async def show(self, place: Place) -> None:
        """Make a data set current; one that is not there changes nothing but the screen (inferred)."""
        if self.refused_to_all():
            return
        if not await self.clock.in_thread(dataset.exists, place):
            self.screen.tell(f"re: {place.path}: no such data set")
            return
        self.current = place
        if self.faults.use("no_acqu2") is not None:
            await self.clock.in_thread(self._spoil_dimension, place)
        if self.faults.use("putpar_lost") is not None:
            self.lost.add(str(place.path))

    def _spoil_dimension(self, place: Place) -> None:
        """2D by its parameter, but without the file of the other dimension."""
        self.change(place, lambda values: values.update(PARMODE=1))
        (place.path / "acqu2").unlink(missing_ok=True)

    async def _WR(self, words: list[str], _confirm: str = "y") -> None:
        await self._copied(Place.of(words))

    async def _WR_PATH(self, path: str, _confirm: str = "y") -> None:
        await self._copied(Place.at(path))

    async def _copied(self, target: Place) -> None:
        if self.refused_to_all():
            return
        if await self.clock.in_thread(dataset.exists, target):
            answer = await self.screen.ask(f"{target.path} exists. Overwrite?", "overwrite", answer="cancel")
            if answer != "ok":
                return
        await self.clock.in_thread(dataset.copy, self.here(), target)

    async def _NEWDATASET(self, words: list[str], _expdir: str | None = None, exp: str = "PROTON") -> None:
        if self.refused_to_all():
            return
        place = Place.of(words)
        template = templates.SITE.get(exp)
        larmor, off = self.twin.larmor_MHz, self.site.reference_off_Hz
        acqu = standard.acqu(self.site.release) if template is None else templates.acqu(self.site.release, template, larmor, off)
        proc = standard.proc() if template is None else templates.proc(template, larmor)
        await self.clock.in_thread(self.create, place, acqu, proc)

    def here(self) -> Place:
        """The current data set; raises ScriptError without one."""
        if self.current is None:
            raise ScriptError("no current data set")
        return self.current

    # -------------------------------------------------------------------------------------------------------- parameters

    async def _GETPAR(self, name: str, axis: int = 0) -> str:
        return await self._parameter(name, axis, "")

    async def _GETPARSTAT(self, name: str, axis: int = 0) -> str:
        return await self._parameter(name, axis, "s")

    async def _GETPAR2(self, name: str) -> str:
        status = name.startswith("status ")
        return await self._parameter(name.removeprefix("status "), 0, "s" if status else "")

    async def _GETPARS(self, wanted: list[str], axis: int = 0, status: int = 0) -> list[str]:
        return [await self._parameter(name, axis, "s" if status else "") for name in wanted]

    async def _parameter(self, name: str, axis: int, status: str) -> str:
        bare, axis = names.split_axis(name, int(axis))
        values = await self.clock.in_thread(self._values_for, bare, axis, status)
        if not values:
            raise names.NoParameter(f"{axis or ''} {bare}: parameter not found in map".strip())
        return names.get(values, bare, enum_names=self.enum_names)

    @property
    def enum_names(self) -> bool:
        """Enumerations by name only."""
        return self.site.release.enum_names or "enum_names" in self.faults

    def _values_for(self, name: str, axis: int, status: str) -> dict[str, Value]:
        return dataset.values(self._file_for(name, axis, status))

    def _file_for(self, name: str, axis: int, status: str = "") -> Path:
        """``acqu`` or ``proc``, of this dimension, used or status."""
        place, number = self.here(), "2" if axis == 1 else ""
        stem = name.rstrip("0123456789 ").upper()
        processing = {key.upper() for key in standard.PROC} - {"TI"}
        if stem in processing or name.upper() in processing:
            return place.pdata / f"proc{number}{status}"
        return place.path / f"acqu{number}{status}"

    async def _PUTPAR(self, name: str, value: str, _dataspecs: Any = None) -> None:
        if not isinstance(name, str) or not isinstance(value, str):
            raise ScriptError("PUTPAR(): 2nd arg can't be coerced to String")
        if not self.refused_to_all():
            await self.clock.in_thread(self._put, name, value)

    def _put(self, name: str, value: str) -> None:
        place = self.here()
        bare, axis = names.split_axis(name)
        path = self._file_for(bare, axis)
        if str(place.path) in self.lost:
            return
        file = dataset.read(path)
        if file is None:
            raise names.NoParameter(f"{axis or ''} {bare}: parameter not found in map".strip())
        names.put(file.values, bare, value, enum_names=self.enum_names)
        self._save(path, file)
        if bare.upper() == "PARMODE" and file.values["PARMODE"] != 0 and not (place.path / "acqu2").exists():
            self.screen.tell(f"The requested format file is invalid: {place.path / 'acqu2'}: getpar: No such file or directory")
            self.lost.add(str(place.path))

    def change(self, place: Place, how: Callable[[dict[str, Value]], Any]) -> None:
        """Change ``acqu`` as a person would."""
        if (file := dataset.read(place.path / "acqu")) is not None:
            how(file.values)
            self._save(place.path / "acqu", file)

    def _save(self, path: Path, file: ParameterFile) -> None:
        file.changes += 1
        file.remarks = self.site.remarks(path, "dataserver", self.site.local())
        dataset.write(path, file)

    async def _GETACQUDIM(self) -> int:
        mode = (await self.clock.in_thread(dataset.values, self.here().path / "acqu")).get("PARMODE", 0)
        return int(mode) + 1 if isinstance(mode, int) else 1

    async def _GETPROCDIM(self) -> int:
        return 2 if (self.here().pdata / "proc2").exists() else 1

    # ---------------------------------------------------------------------------------------------------------- commands

    async def _XCMD(self, command: str, wait: int = 1, argument: str | None = None) -> int:
        """The handle of the command's thread; returns when it is over, if it is waited for."""
        text = command if argument is None else f"{command} {argument}"
        self._next_handle += 1
        handle = self._next_handle
        self.handles[handle] = self.keep(self.commands.run(text))
        if wait:
            await asyncio.wait({self.handles[handle]})
        else:
            self._unwatched += 1
        return handle

    _XCPR = _XCMD

    def spawned(self, work: Coroutine[Any, Any, Any]) -> int:
        """A script's own new command thread; its handle."""
        self._next_handle += 1
        self.handles[self._next_handle] = self.keep(work)
        return self._next_handle

    async def _JOIN(self, handle: int) -> None:
        if handle in self.handles:
            await asyncio.wait({self.handles[handle]})

    async def _RESULT(self, handle: int) -> int:
        task = self.handles.get(handle)
        return int(task.result() or 0) if task is not None and task.done() and not task.cancelled() and task.exception() is None else 0

    async def _MSG(self, text: str = "", *_: Any) -> None:
        await self.screen.ask(text)

    async def _CONFIRM(self, text: str = "", *_: Any) -> int:
        return int(await self.screen.ask(text, "confirm") == "ok")

    async def _SELECT(self, *words: Any) -> int:
        await self.screen.ask(str(words[:1]), "select")
        return -1

    async def _ERRMSG(self, text: str = "", *_: Any) -> None:
        self.screen.tell(text)

    async def _SHOW_STATUS(self, text: str = "") -> None:
        self.screen.status = text

    async def _SLEEP(self, seconds: float) -> None:
        await self.clock.sleep(float(seconds))

    async def _TIME(self) -> int:
        """The computer's clock, ns: what ``time.time`` is for the script."""
        return self.site.unix_ns()

    async def _VERSION(self) -> str:
        return self.site.release.name

    # ------------------------------------------------------------------------------------------------------------ people

    def foreign(self, name: str = FOREIGN_NAME, user: str = "guest") -> Place:
        """Somebody else's data set, made when it is first wanted."""
        place = self.site.place(name, 1, user)
        if not dataset.exists(place):
            template = templates.SITE["7Li_wide"]
            larmor, off = self.twin.larmor_MHz, self.site.reference_off_Hz
            self.create(
                place, templates.acqu(self.site.release, template, larmor, off), templates.proc(template, larmor), "practical course"
            )
        return place

    # ------------------------------------------------------------------------------------------------------------ state

    def snapshot(self) -> dict[str, Any]:
        """Plain data; command threads and dialogs are lost with the program."""
        return {
            "current": None if self.current is None else self.current.words,
            "lost": sorted(self.lost),
            "status": self.screen.status,
            "server": self.server.snapshot(),
        }

    def restore(self, state: Mapping[str, Any], later_ns: int = 0) -> None:
        """Go on from a snapshot."""
        self.current = None if state["current"] is None else Place.of(state["current"])
        self.lost = set(state["lost"])
        self.screen.status = state["status"]
        self.server.restore(state["server"], later_ns)
