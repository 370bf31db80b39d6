"""The broker's certificate, and the authority of this laboratory that signs it; made by the openssl program."""

from __future__ import annotations

import ipaddress
import os
import shutil
import subprocess
from collections.abc import Sequence
from pathlib import Path

DAYS = 3650
CURVE = ("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes")
AUTHORITY = """\
[req]
distinguished_name = name
x509_extensions = authority
prompt = no
[name]
CN = operando-nmr, this laboratory
[authority]
basicConstraints = critical, CA:TRUE
keyUsage = critical, keyCertSign, cRLSign
subjectKeyIdentifier = hash
"""
SERVER = """\
basicConstraints = critical, CA:FALSE
keyUsage = critical, digitalSignature
extendedKeyUsage = serverAuth
subjectKeyIdentifier = hash
authorityKeyIdentifier = keyid
subjectAltName = {names}
"""


class NoCertificate(Exception):
    """A certificate could not be made."""


def make_certificates(folder: Path, hosts: Sequence[str]) -> None:
    """``ca.crt``, ``ca.key``, ``server.crt`` and ``server.key`` in ``folder``; an authority that is there stays. Raises NoCertificate."""
    folder.mkdir(parents=True, exist_ok=True)
    if not (folder / "ca.crt").exists():
        _authority(folder)
    names = ", ".join(f"{'IP' if _is_address(host) else 'DNS'}:{host}" for host in hosts)
    extensions, request = folder / "server.ext", folder / "server.csr"
    extensions.write_text(SERVER.format(names=names), "utf-8")
    _openssl(folder, "req", "-new", *CURVE, "-subj", "/CN=operando broker", "-keyout", "server.key", "-out", request.name)
    signed = ("-CA", "ca.crt", "-CAkey", "ca.key", "-CAcreateserial", "-days", str(DAYS), "-extfile", extensions.name)
    _openssl(folder, "x509", "-req", "-in", request.name, *signed, "-out", "server.crt")
    for made in (extensions, request):
        made.unlink()
    _own(folder / "server.key")


def _authority(folder: Path) -> None:
    config = folder / "ca.cnf"
    config.write_text(AUTHORITY, "utf-8")
    _openssl(folder, "req", "-x509", *CURVE, "-days", str(DAYS), "-config", config.name, "-keyout", "ca.key", "-out", "ca.crt")
    config.unlink()
    _own(folder / "ca.key")


def _own(path: Path) -> None:
    path.chmod(0o600)


def _openssl(folder: Path, *arguments: str) -> None:
    program = shutil.which("openssl")
    if program is None:
        raise NoCertificate("the program openssl is not here (apt-get install openssl); nothing was written that needs it")
    found = subprocess.run(
        [program, *arguments], cwd=folder, capture_output=True, text=True, check=False, env={**os.environ, "LC_ALL": "C"}
    )
    if found.returncode != 0:
        raise NoCertificate(f"openssl {arguments[0]}: {found.stderr.strip()[-300:]}")


def _is_address(host: str) -> bool:
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return False
    return True
