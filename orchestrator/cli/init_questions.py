"""What `operando init rig` asks of each driver: its address, and what a real instrument needs beside it."""

from __future__ import annotations

from collections.abc import Mapping

ADDRESSES: Mapping[str, tuple[str, str]] = {
    "methodscript": ("serial port", ""),
    "keithley": ("VISA resource, TCPIP0::HOST::5025::SOCKET", ""),
    "biologic": ("serial number as EC-Lab lists it (SN 365), or USB0 or IP address for the DLL", ""),
    "neware": ("computer of the BTS client", ""),
    "follow": ("folder or file that the cycler's own software writes, as this computer sees it", ""),
    "arbin": ("host:port of the computer with MITS Pro (CTI; 9031 is inferred)", ""),
    "zahner": ("computer with Thales, its Remote Script started", ""),
    "replay": ("recording:FOLDER, as it was recorded", ""),
    "openvnmrj": ("the operator's folder with .talk in it, as this computer sees it", ""),
    "topspin": ("host:port of the agent in TopSpin", "127.0.0.1:47011"),
    "spinsolve": ("computer of the Spinsolve", ""),
    "marcos": ("host[:port] of the MaRCoS server", ""),
    "sim": ("nothing: it is simulated", "memory"),
}
"""What is asked for as the address, and what it is where nobody says."""
OPTIONS: Mapping[str, tuple[tuple[str, str], ...]] = {
    "arbin": (("folder", "folder of this computer for notes of what was started: continue goes by them"),),
    "biologic": (
        ("door", "eclab (EC-Lab's COM door) or dll"),
        ("folder", "folder for settings and data, seen by both programs"),
        ("device", "eclab: the instrument's name in EC-Lab; - for none"),
        ("decimal", "eclab: sign between 4 and 2 in settings that EC-Lab has saved, . or ,; - for none"),
        ("ours", "dll: channels that EC-Lab may lose, [4]; - for none"),
        ("package", "dll: folder of the EC-Lab Development Package; - for none"),
    ),
    "follow": (("zone", "time zone of the cycler's computer, Europe/Berlin; - where its files name one"),),
    "neware": (("folder", "share that the BTS client's computer sees"), ("bts_folder", "that folder's name there; - for the same")),
    "openvnmrj": (
        ("data_root", "where the console saves, as it names it"),
        ("path_map", "its prefixes to ours, {/home/vnmr1: /mnt/console}; - for none"),
        ("listen_host", "this computer's address in the console's network; - for loopback"),
    ),
    "topspin": (("path_map", "its prefixes to ours, {/data/nmr: /mnt/av300}; - for none"),),
    "marcos": (("H1_MHz", "the magnet's proton frequency, 400.13"), ("data_root", "folder of ours in which every reply is kept")),
    "spinsolve": (
        ("data_root", "where the console shall save, as it names it"),
        ("path_map", "its prefixes to ours, {'D:\\opnmr': /mnt/spinsolve}; - for none"),
    ),
}
"""What a real instrument of this driver needs beside its address (its README says more)."""
