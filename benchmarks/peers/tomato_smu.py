"""A driver package for tomato (DriverInterface 2.1): one channel that holds a current and reads a voltage.

``reset`` opens the circuit, as the interface asks for a documented, safe state. Modelled on its ``set_attr``, ``do_measure``, ``reset``.
"""

# ruff: noqa: ARG002, DTZ005 - the signatures and the stamp are those of the interface

from datetime import datetime

import xarray as xr
from smu import Smu
from tomato.driverinterface_2_1 import Attr, ModelDevice, ModelInterface
from tomato.driverinterface_2_1.decorators import coerce_val


class Device(ModelDevice):
    """One channel; its address is HOST:PORT."""

    def __init__(self, driver, key, **kwargs):
        host, _, port = key[0].rpartition(":")
        self.smu, self.current = Smu(host, int(port)), 0.0
        super().__init__(driver, key, **kwargs)

    def do_measure(self, **kwargs):
        """One reading."""
        data = {"current": (["uts"], [self.current]), "voltage": (["uts"], [self.smu.voltage_V()])}
        self.last_data = xr.Dataset(data, coords={"uts": (["uts"], [datetime.now().timestamp()])})

    @coerce_val
    def set_attr(self, attr, val, **kwargs):
        """The one thing that can be set."""
        self.current = val
        self.smu.set_current(val)
        return val

    def get_attr(self, attr, **kwargs):
        """What was set."""
        return self.current

    def attrs(self, **kwargs):
        """One current in A."""
        return {"current": Attr(type=float, rw=True, status=True, minimum=-0.01, maximum=0.01)}

    def capabilities(self, **kwargs):
        """One technique."""
        return {"constant_current"}

    def reset(self, do_run=True, **kwargs):
        """Open circuit, then whatever the base class does."""
        self.smu.off()
        self.current = 0.0
        super().reset(do_run=do_run)


class DriverInterface(ModelInterface):
    """What tomato imports."""

    def DeviceFactory(self, key, **kwargs):
        """One channel."""
        return Device(self, key, **kwargs)
