"""A MaRCoS console: packets, the server, the sequencer in its FPGA, what it receives."""
