"""MaRCoS, the open console of OCRA's successors: msgpack over TCP, sequences compiled on this side."""
