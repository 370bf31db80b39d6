"""A driver package for tomato (DriverInterface 2.1): a console that starts an acquisition when it is told to.

Its address is HOST:PORT of the console's command socket; the order is the one that VnmrJ takes.
"""

# ruff: noqa: ARG002, DTZ005 - the signatures and the stamp are those of the interface

import socket
from datetime import datetime

import xarray as xr
from tomato.driverinterface_2_1 import Attr, ModelDevice, ModelInterface
from tomato.driverinterface_2_1.decorators import coerce_val


class Device(ModelDevice):
    """One console."""

    def __init__(self, driver, key, **kwargs):
        host, _, port = key[0].rpartition(":")
        self.where, self.scans = (host, int(port)), 0.0
        super().__init__(driver, key, **kwargs)

    def do_measure(self, **kwargs):
        """How many were asked for."""
        self.last_data = xr.Dataset({"scans": (["uts"], [self.scans])}, coords={"uts": (["uts"], [datetime.now().timestamp()])})

    @coerce_val
    def set_attr(self, attr, val, **kwargs):
        """Start."""
        self.scans = val
        with socket.create_connection(self.where, 5.0) as line:
            line.sendall(b"au\0")
        return val

    def get_attr(self, attr, **kwargs):
        """What was set."""
        return self.scans

    def attrs(self, **kwargs):
        """A number of scans."""
        return {"scans": Attr(type=float, rw=True, status=True, minimum=0, maximum=10000)}

    def capabilities(self, **kwargs):
        """One technique."""
        return {"acquire"}

    def reset(self, do_run=True, **kwargs):
        """Nothing to undo."""
        super().reset(do_run=do_run)


class DriverInterface(ModelInterface):
    """What tomato imports."""

    def DeviceFactory(self, key, **kwargs):
        """One console."""
        return Device(self, key, **kwargs)
