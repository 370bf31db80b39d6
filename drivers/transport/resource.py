"""Names of VISA resources, as far as they are plain sockets."""

from __future__ import annotations

import re

from drivers.errors import NotReachable

_SOCKET = re.compile(r"TCPIP\d*::(?P<host>[^:]+|\[[^]]+\])::(?P<port>\d+)::SOCKET", re.IGNORECASE)


def is_socket(address: str) -> bool:
    """True for ``TCPIP::HOST::PORT::SOCKET``."""
    return _SOCKET.fullmatch(address) is not None


def socket_of(address: str) -> tuple[str, int]:
    """Host and port of ``TCPIP::HOST::PORT::SOCKET``; raises NotReachable for every other resource."""
    found = _SOCKET.fullmatch(address)
    if found is None:
        raise NotReachable(f"{address} is not a socket resource", advice="write TCPIP::HOST::PORT::SOCKET")
    return found["host"].strip("[]"), int(found["port"])
