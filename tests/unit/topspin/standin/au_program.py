# ruff: noqa: PTH113, PTH118
"""What the AU program ``operando_pull`` does, on the stand-in: call the script, read its verdict, acquire."""

import os
import runpy
import sys

import TopCmds

TopCmds.CURRENT[:] = sys.argv[2:6]
while True:
    if os.path.isfile(os.path.join(TopCmds._path(TopCmds.CURRENT), "acqu")):
        TopCmds.PUTPAR("CNST 60", "0")
    runpy.run_path(sys.argv[1], run_name="__main__")
    if not 4710.5 < float(TopCmds.GETPAR("CNST 60")) < 4711.5:
        break
    TopCmds.XCMD("zg")
