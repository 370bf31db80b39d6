"""What others do at the same console: click, practise, run their automation, change the site's templates."""

from __future__ import annotations

import asyncio
from typing import Any

from drivers.sim.switches import Faults
from drivers.topspin.console import dataset, names, templates, writer
from drivers.topspin.console.acquisition import Acquisition, scan_seconds
from drivers.topspin.console.topspin import TopSpin

AUTOMATION = "iconnmr"


class People:
    """Everybody else."""

    def __init__(self, topspin: TopSpin, faults: Faults) -> None:
        self.topspin = topspin
        self.faults = faults
        self._automation: asyncio.Task[None] | None = None

    async def stop(self) -> None:
        """They go home."""
        self.cleared("automation")

    def switched(self, fault: str) -> None:
        """A fault of this kind goes on."""
        parameters = self.faults.on.get(fault, {})
        if fault == "user_moves" and parameters["at"] == "now":
            self.topspin.current = self.topspin.foreign()
            self.faults.use(fault)
        elif fault == "locked_by_user":
            self.topspin.current = self.topspin.foreign(user=str(parameters["user"]))
        elif fault == "foreign_acquisition":
            self.acquire(float(parameters["seconds"]), str(parameters["user"]))
            self.faults.clear(fault)
        elif fault == "automation":
            self._automation = self.topspin.keep(self._automate(float(parameters["every_s"])))
        elif fault == "dialog":
            self.topspin.unblocked.clear()
            self.topspin.keep(self._dialog(parameters["seconds"]))
        elif fault == "template_2D":
            self._templates_2D()
        elif fault == "parameters_drift":
            self._drift(str(parameters["name"]), str(parameters["value"]))

    def cleared(self, fault: str) -> None:
        """And off."""
        if fault == "automation" and self._automation is not None:
            self._automation.cancel()
            self._automation = None

    async def _dialog(self, seconds: float | None) -> None:
        """A box in front of everything."""
        await self.topspin.screen.ask("a modal dialog", "modal", seconds=seconds)
        self.faults.clear("dialog")
        self.topspin.unblocked.set()

    def acquire(self, seconds: float, user: str) -> None:
        """Somebody's own acquisition, if the spectrometer is free."""
        topspin = self.topspin
        if topspin.server.active is not None:
            return
        place = topspin.foreign(user=user)
        file = dataset.read(place.path / "acqu")
        assert file is not None
        scan_s = scan_seconds(file.values)
        acquisition = Acquisition(
            topspin.server.done + 1,
            place.words,
            user,
            file.text(),
            NS=max(1, round(seconds / scan_s)),
            DS=0,
            scan_s=scan_s,
            overhead_s=topspin.site.overhead_s,
            run_ns=topspin.clock.mono_ns(),
        )
        topspin.server.begin(acquisition)
        writer.preallocate(topspin.site, acquisition, topspin.site.local(acquisition.run_ns))

    async def _automate(self, every_s: float) -> None:
        """IconNMR shows its own data sets, one after the other."""
        while True:
            self.topspin.current = await self.topspin.clock.in_thread(self.topspin.foreign, AUTOMATION, AUTOMATION)
            await self.topspin.clock.sleep(every_s)

    def _templates_2D(self) -> None:
        for name in templates.SITE:
            place = self.topspin.template(name)
            file = dataset.read(place.path / "acqu")
            if file is not None:
                file.values["PARMODE"] = 1
                dataset.write(place.path / "acqu", file)
                second = dataset.read(place.path / "acqu")
                assert second is not None
                second.values |= {"TD": 8, "FnMODE": 1}
                dataset.write(place.path / "acqu2", second)

    def _drift(self, name: str, value: str) -> None:
        for template in templates.SITE:
            place = self.topspin.template(template)
            file: Any = dataset.read(place.path / "acqu")
            if file is not None:
                names.put(file.values, name, value, enum_names=False)
                dataset.write(place.path / "acqu", file)
