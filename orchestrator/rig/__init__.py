"""The rig process: gathers everything a run needs, starts its companions, and hands over to the Runner.

It owns the instruments, the runner, the journal and the control socket, and nothing else: no h5py, no broker, no screen.
"""
