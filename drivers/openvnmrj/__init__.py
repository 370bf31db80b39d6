"""OpenVnmrJ and VnmrJ consoles."""
