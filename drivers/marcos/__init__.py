"""MaRCoS: consoles on a Red Pitaya behind the public marcos server."""
