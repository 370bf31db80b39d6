"""The control of the latency benchmark: the least a program can do between the two wires.

Reads the potentiostat's pseudo-terminal on an idle event loop; at each line that ends a step it opens the console's command
socket and writes one command. No parsing, no journal, no safety: nothing between the two wires but the loop.
"""

from __future__ import annotations

import asyncio
import os
import socket
import sys
import termios
import tty
from pathlib import Path

PAUSE_s = 0.2
SCRIPT = b"""var p
var t
set_pgstat_chan 0
set_pgstat_mode 3
set_max_bandwidth 60
cell_off
timer_start
meas_loop_ocp p 100m 1
timer_get t
pck_start
pck_add t
pck_add p
pck_end
endloop
send_string f"STEP_END"
on_finished:
cell_off
"""


def command_port(talk: Path) -> tuple[str, int]:
    """Host and port of the console's command socket (``.talk``: the port in network byte order)."""
    host, port, _ = talk.read_text().split()
    return host, socket.ntohs(int(port))


async def main(device: str, talk: str, times: int) -> None:
    """``times`` steps of a second; one command after each."""
    line = os.open(device, os.O_RDWR | os.O_NOCTTY | os.O_NONBLOCK)
    tty.setraw(line, termios.TCSANOW)
    host, port = command_port(Path(talk))
    arrived: asyncio.Queue[bytes] = asyncio.Queue()
    asyncio.get_running_loop().add_reader(line, lambda: arrived.put_nowait(os.read(line, 65536)))
    for _ in range(times):
        os.write(line, b"e\n" + SCRIPT + b"\n")
        buffer = b""
        while b"TSTEP_END" not in buffer:
            buffer += await arrived.get()
        _, writer = await asyncio.open_connection(host, port)
        writer.write(b"au\0")
        await writer.drain()
        writer.close()
        while not buffer.endswith(b"\n\n"):
            buffer += await arrived.get()
        await asyncio.sleep(PAUSE_s)
    os.close(line)


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1], sys.argv[2], int(sys.argv[3])))
