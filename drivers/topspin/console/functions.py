"""The functions of ``TopCmds`` as the program answers them, one coroutine each, by their own names.

They return plain data; TopSpin's words for a refusal come as NoParameter. What the document does not say is marked inferred.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import TYPE_CHECKING, Any

from drivers.topspin.console import dataset, names, standard, templates
from drivers.topspin.console.dataset import Place
from drivers.topspin.console.jcamp import Value

if TYPE_CHECKING:
    from drivers.topspin.console.topspin import TopSpin

PROCESSING = frozenset(key.upper() for key in standard.PROC) - {"TI"}


class Functions:
    """What a script can call; ``table`` has them by name."""

    def __init__(self, topspin: TopSpin) -> None:
        self.topspin = topspin
        own = [name for name in vars(Functions) if name[0] == "_" and name[1:].isupper()]
        self.table: dict[str, Callable[..., Coroutine[Any, Any, Any]]] = {name[1:]: getattr(self, name) for name in own}

    # ---------------------------------------------------------------------------------------------------------- data sets

    async def _CURDATA(self) -> list[str]:
        return self.topspin.current.words if self.topspin.current is not None else []

    async def _RE(self, words: list[str], _show: str = "y") -> None:
        await self.topspin.show(Place.of(words))

    async def _RE_PATH(self, path: str, _show: str = "y") -> None:
        await self.topspin.show(Place.at(path))

    async def _RE_IEXPNO(self) -> None:
        await self.topspin.show(self.topspin.here().next())

    async def _WR(self, words: list[str], _confirm: str = "y") -> None:
        await self._copied(Place.of(words))

    async def _WR_PATH(self, path: str, _confirm: str = "y") -> None:
        await self._copied(Place.at(path))

    async def _copied(self, target: Place) -> None:
        if self.topspin.refused_to_all():
            return
        if await self.topspin.clock.in_thread(dataset.exists, target):
            answer = await self.topspin.screen.ask(f"{target.path} exists. Overwrite?", "overwrite", answer="cancel")
            if answer != "ok":
                return
        await self.topspin.clock.in_thread(dataset.copy, self.topspin.here(), target)

    async def _NEWDATASET(self, words: list[str], _expdir: str | None = None, exp: str = "PROTON") -> None:
        if self.topspin.refused_to_all():
            return
        place = Place.of(words)
        template = templates.SITE.get(exp)
        larmor, off = self.topspin.twin.larmor_MHz, self.topspin.site.reference_off_Hz
        acqu = (
            standard.acqu(self.topspin.site.release)
            if template is None
            else templates.acqu(self.topspin.site.release, template, larmor, off)
        )
        proc = standard.proc() if template is None else templates.proc(template, larmor)
        await self.topspin.clock.in_thread(self.topspin.create, place, acqu, proc)

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
        values = await self.topspin.clock.in_thread(self._values_for, bare, axis, status)
        if not values:
            raise names.NoParameter(f"{axis or ''} {bare}: parameter not found in map".strip())
        return names.get(values, bare, enum_names=self.topspin.enum_names)

    def _values_for(self, name: str, axis: int, status: str) -> dict[str, Value]:
        return dataset.values(self._file_for(name, axis, status))

    def _file_for(self, name: str, axis: int, status: str = "") -> Path:
        """``acqu`` or ``proc``, of this dimension, used or status."""
        place, number = self.topspin.here(), "2" if axis == 1 else ""
        stem = name.rstrip("0123456789 ").upper()
        if stem in PROCESSING or name.upper() in PROCESSING:
            return place.pdata / f"proc{number}{status}"
        return place.path / f"acqu{number}{status}"

    async def _PUTPAR(self, name: str, value: str, _dataspecs: Any = None) -> None:
        if not isinstance(name, str) or not isinstance(value, str):
            raise names.NoParameter("PUTPAR(): 2nd arg can't be coerced to String")
        if not self.topspin.refused_to_all():
            await self.topspin.clock.in_thread(self._put, name, value)

    def _put(self, name: str, value: str) -> None:
        place = self.topspin.here()
        bare, axis = names.split_axis(name)
        path = self._file_for(bare, axis)
        if str(place.path) in self.topspin.lost:
            return
        file = dataset.read(path)
        if file is None:
            raise names.NoParameter(f"{axis or ''} {bare}: parameter not found in map".strip())
        names.put(file.values, bare, value, enum_names=self.topspin.enum_names)
        self.topspin.save(path, file)
        if bare.upper() == "PARMODE" and file.values["PARMODE"] != 0 and not (place.path / "acqu2").exists():
            self.topspin.screen.tell(f"The requested format file is invalid: {place.path / 'acqu2'}: getpar: No such file or directory")
            self.topspin.lost.add(str(place.path))

    async def _GETACQUDIM(self) -> int:
        mode = (await self.topspin.clock.in_thread(dataset.values, self.topspin.here().path / "acqu")).get("PARMODE", 0)
        return int(mode) + 1 if isinstance(mode, int) else 1

    async def _GETPROCDIM(self) -> int:
        return 2 if (self.topspin.here().pdata / "proc2").exists() else 1

    # ---------------------------------------------------------------------------------------------------------- commands

    async def _XCMD(self, command: str, wait: int = 1, argument: str | None = None) -> int:
        """The handle of the command's thread; returns when it is over, if it is waited for."""
        text = command if argument is None else f"{command} {argument}"
        handle = self.topspin.spawned(self.topspin.commands.run(text))
        if wait:
            await asyncio.wait({self.topspin.handles[handle]})
        else:
            self.topspin.unwatched += 1
        return handle

    _XCPR = _XCMD

    async def _JOIN(self, handle: int) -> None:
        if handle in self.topspin.handles:
            await asyncio.wait({self.topspin.handles[handle]})

    async def _RESULT(self, handle: int) -> int:
        task = self.topspin.handles.get(handle)
        return int(task.result() or 0) if task is not None and task.done() and not task.cancelled() and task.exception() is None else 0

    async def _MSG(self, text: str = "", *_: Any) -> None:
        await self.topspin.screen.ask(text)

    async def _CONFIRM(self, text: str = "", *_: Any) -> int:
        return int(await self.topspin.screen.ask(text, "confirm") == "ok")

    async def _SELECT(self, *words: Any) -> int:
        await self.topspin.screen.ask(str(words[:1]), "select")
        return -1

    async def _ERRMSG(self, text: str = "", *_: Any) -> None:
        self.topspin.screen.tell(text)

    async def _SHOW_STATUS(self, text: str = "") -> None:
        self.topspin.screen.status = text

    async def _SLEEP(self, seconds: float) -> None:
        await self.topspin.clock.sleep(float(seconds))

    async def _TIME(self) -> int:
        """The computer's clock, ns: what ``time.time`` is for the script."""
        return self.topspin.site.unix_ns()

    async def _VERSION(self) -> str:
        return self.topspin.site.release.name
