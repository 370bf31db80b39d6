"""Magritek Spinsolve benchtop spectrometers: XML over TCP, data through a shared folder."""
