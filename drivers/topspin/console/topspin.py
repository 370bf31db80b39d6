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
from drivers.topspin.console import dataset, names, templates
from drivers.topspin.console.commands import Commands
from drivers.topspin.console.dataset import Place
from drivers.topspin.console.dialogs import Screen
from drivers.topspin.console.functions import Functions
from drivers.topspin.console.jcamp import ParameterFile, Value
from drivers.topspin.console.server import AcquisitionServer
from drivers.topspin.console.site import Site

FOREIGN_NAME = "practical_course"
TEMPLATES = "templates"
SETUP = "setup"
"""What the operator has left on the screen."""
KEPT_HANDLES = 100


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
        self.unblocked = asyncio.Event()
        """Not while a modal dialog holds up every call that goes through the program's windows."""
        self.unblocked.set()
        self._before: Any = ""
        self.unwatched = 0
        self._tasks: set[asyncio.Task[Any]] = set()
        self.functions = Functions(self)

    # ------------------------------------------------------------------------------------------------------------- life

    def make(self) -> None:
        """The folders, and the site's templates where they are not there yet."""
        self.site.make()
        for name, template in templates.SITE.items():
            with suppress(KeyError, ValueError):  # a nucleus that the twin does not have
                self._make_template(name, template)
        self.current = self.current or self.foreign(SETUP, self.site.desk.user)

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
        self.unblocked.set()

    def keep(self, work: Coroutine[Any, Any, Any]) -> asyncio.Task[Any]:
        """A task of the program's own, ended with it."""
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return task

    # ------------------------------------------------------------------------------------------------------------ calls

    async def call(self, name: str, *arguments: Any) -> Any:
        """A function of ``TopCmds``; raises ScriptError."""
        function = self.functions.table.get(name)
        if function is None:
            raise ScriptError(f"name '{name}' is not defined")
        if name not in {"XCPR", "SLEEP"}:
            await self.unblocked.wait()
        try:
            answer = await function(*arguments)
        except names.NoParameter as refused:
            raise ScriptError(str(refused)) from None
        except (OSError, ValueError) as fault:
            raise ScriptError(str(fault)) from None
        return self._in_step(name, answer)

    def _in_step(self, name: str, answer: Any) -> Any:
        """Answers of the call before, where command and response are out of step."""
        if not name.startswith("GETPAR"):
            return answer
        if self.unwatched and self.faults.use("queue_desync") is not None:
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

    def here(self) -> Place:
        """The current data set; raises NoParameter without one."""
        if self.current is None:
            raise names.NoParameter("no current data set")
        return self.current

    @property
    def enum_names(self) -> bool:
        """Enumerations by name only."""
        return self.site.release.enum_names or "enum_names" in self.faults

    def change(self, place: Place, how: Callable[[dict[str, Value]], Any]) -> None:
        """Change ``acqu`` as a person would."""
        if (file := dataset.read(place.path / "acqu")) is not None:
            how(file.values)
            self.save(place.path / "acqu", file)

    def save(self, path: Path, file: ParameterFile) -> None:
        """Write a parameter file that was changed."""
        file.changes += 1
        file.remarks = self.site.remarks(path, "dataserver", self.site.local())
        dataset.write(path, file)

    def spawned(self, work: Coroutine[Any, Any, Any]) -> int:
        """A new command thread; its handle."""
        self._next_handle += 1
        for old in [handle for handle, task in self.handles.items() if task.done() and handle < self._next_handle - KEPT_HANDLES]:
            del self.handles[old]
        self.handles[self._next_handle] = self.keep(work)
        return self._next_handle

    # ------------------------------------------------------------------------------------------------------------ people

    def foreign(self, name: str = FOREIGN_NAME, user: str = "guest") -> Place:
        """Somebody's data set that is not the site's nor a run's, made when it is first wanted."""
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
