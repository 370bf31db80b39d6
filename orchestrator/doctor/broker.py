"""The broker, layer by layer: name, port, TLS, password, rights. The first that fails is told, with how to fix it."""

from __future__ import annotations

import asyncio
import os
import socket
import ssl
from collections.abc import AsyncIterator
from pathlib import Path

from orchestrator.doctor.finding import Finding, State, ok
from orchestrator.model.broker import Broker
from orchestrator.monitor.mqtt import BrokerGone, Link, Refused, connected
from orchestrator.monitor.picture import Out
from orchestrator.monitor.topics import ROOT, level

PATIENCE_s = 3.0
AREA = "broker"
SPEAKS_TLS = "the port speaks TLS, and the rig's URL says plain MQTT"


def _fail(name: str, text: str, fix: str) -> Finding:
    return Finding(AREA, name, State.FAIL, text, fix)


async def broker_findings(broker: Broker, rig: str) -> AsyncIterator[Finding]:
    """One finding a layer until one fails. ``rig``: below whose name the rights are tried."""
    for layer in (_files, _dns, _tcp, _tls):
        found = await layer(broker)
        yield found
        if found.state is State.FAIL:
            return
    async for found in _session(broker, rig):
        yield found


async def _files(broker: Broker) -> Finding:
    return await asyncio.to_thread(_readable, broker)


def _readable(broker: Broker) -> Finding:
    for what, name in (("password_file", broker.password_file), ("ca", broker.ca)):
        try:
            if name:
                Path(name).read_bytes()
        except OSError as error:
            return _fail(
                "files", f"{what}: {name}: {error.strerror or error}", "`operando init` writes passwords and certificates; name them"
            )
    return ok(AREA, "files", "password and certificate can be read" if broker.password_file or broker.ca else "none are named")


async def _dns(broker: Broker) -> Finding:
    try:
        async with asyncio.timeout(PATIENCE_s):
            found = await asyncio.get_running_loop().getaddrinfo(broker.host, broker.port, type=socket.SOCK_STREAM)
    except TimeoutError:
        return _fail(
            "DNS", f"{broker.host}: the name server does not answer", "look at this computer's network, or write the address itself"
        )
    except OSError as error:
        fix = "look at the name's spelling in `broker:`, or write the address itself"
        return _fail("DNS", f"no computer is called {broker.host} ({error.strerror or error})", fix)
    return ok(AREA, "DNS", f"{broker.host} is {found[0][4][0]}")


async def _tcp(broker: Broker) -> Finding:
    where = f"{broker.host}:{broker.port}"
    try:
        async with asyncio.timeout(PATIENCE_s):
            _, writer = await asyncio.open_connection(broker.host, broker.port)
    except TimeoutError:
        return _fail("TCP", f"{where} does not answer at all", "a firewall drops it, or the computer is off or elsewhere: try `ping`")
    except ConnectionRefusedError:
        return _fail(
            "TCP", f"{where} refuses: nobody listens", "start the broker (`docker compose up`, `operando broker`), or correct the port"
        )
    except OSError as error:
        return _fail("TCP", f"{where}: {error.strerror or error}", "look at cable, VPN and route")
    writer.close()
    return ok(AREA, "TCP", f"{where} answers")


async def _tls(broker: Broker) -> Finding:
    if not broker.tls:
        told = await _shakes_hands(broker, _anybody())
        if told == "":
            return _fail("TLS", SPEAKS_TLS, f"write mqtts://{broker.host}:{broker.port} and name its certificate as `ca`")
        if broker.host in {"localhost", "127.0.0.1", "::1"}:
            return ok(AREA, "TLS", "none, within this computer")
        return Finding(
            AREA, "TLS", State.WARN, "none: password and commands pass in clear text", "use mqtts://; `operando init` makes the certificate"
        )
    try:
        context = ssl.create_default_context(cafile=broker.ca or None)
    except OSError as error:
        return _fail("TLS", f"{broker.ca} is no certificate ({error})", "name the file that `operando init` wrote as ca.crt")
    told = await _shakes_hands(broker, context)
    return _fail("TLS", *_tls_words(told, broker)) if told else ok(AREA, "TLS", "the certificate is trusted and names this host")


def _anybody() -> ssl.SSLContext:
    """Only to learn whether a port speaks TLS; nothing is said over it."""
    context = ssl.create_default_context()
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    return context


async def _shakes_hands(broker: Broker, context: ssl.SSLContext) -> str:
    """Why the handshake failed; "" when it did not."""
    try:
        async with asyncio.timeout(PATIENCE_s):
            _, writer = await asyncio.open_connection(broker.host, broker.port, ssl=context)
    except TimeoutError:
        return "no answer"
    except (OSError, EOFError) as error:
        return str(error) or type(error).__name__
    writer.close()
    return ""


def _tls_words(told: str, broker: Broker) -> tuple[str, str]:
    if "Hostname mismatch" in told or "IP address mismatch" in told:
        fix = f"`operando init --host {broker.host}` makes a certificate for this name, or write the name it was made for"
        return f"the certificate is for another name than {broker.host}", fix
    if "has expired" in told:
        return "the certificate has expired", "`operando init` makes a new one; restart the broker"
    if "CERTIFICATE_VERIFY_FAILED" in told:
        return "the certificate is signed by somebody we do not know", "name the broker's own ca.crt as `ca` in the rig file"
    if any(word in told for word in ("WRONG_VERSION", "RECORD_LAYER", "no answer", "reset", "EOF", "UNEXPECTED")):
        return "the port does not speak TLS", f"write mqtt://{broker.host}:{broker.port}, or the broker's TLS port"
    return told, "look at the broker's log"


async def _session(broker: Broker, rig: str) -> AsyncIterator[Finding]:
    who = broker.user or "nobody in particular"
    try:
        async with connected(broker, f"doctor-{level(rig)}-{os.getpid()}") as link:
            yield ok(AREA, "password", f"accepted as {who}")
            yield await _rights(link, rig, who)
    except Refused as error:
        fix = "look at `user` and `password_file`; `operando init --rig NAME` makes both, and the broker must be told to read them anew"
        yield _fail("password", f"refused as {who} ({error})", fix)
    except BrokerGone as error:
        yield _fail(
            "MQTT", f"the port answers, but not as a broker ({error})", "is it the broker's MQTT port, not its websocket or web page?"
        )


async def _rights(link: Link, rig: str, who: str) -> Finding:
    """Publish below the rig's own name and wait for it to come back: a broker that refuses says nothing."""
    topic = f"{ROOT}/{level(rig)}/doctor"
    nonce = f"{os.getpid()}".encode()
    await link.subscribe(topic)
    await link.publish(Out(topic, nonce, 1, False))
    try:
        async with asyncio.timeout(PATIENCE_s):
            async for heard in link.messages():
                if heard.payload == nonce:
                    return ok(AREA, "rights", f"{who} may write and read below {ROOT}/{level(rig)}")
    except TimeoutError:
        pass
    fix = f"give {who} `topic readwrite {ROOT}/{level(rig)}/#` in the broker's access list; `operando init --rig {rig}` writes it"
    return _fail(
        "rights", f"what {who} writes below {ROOT}/{level(rig)} does not come back: its access list forbids it, without a word", fix
    )
