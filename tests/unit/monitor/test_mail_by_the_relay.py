"""E-mail by the house's own relay: a real SMTP dialogue on loopback; what cannot be sent is said."""

from __future__ import annotations

import socketserver
import threading
from collections.abc import Iterator

import pytest

from orchestrator.monitor.mail_child import letter, mail_of
from orchestrator.monitor.notify import BadNotify, notifier, way


class Relay(socketserver.ThreadingTCPServer):
    """Takes mail; ``refuses``: every recipient."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Dialogue)
        self.heard: list[str] = []
        self.refuses = False


class Dialogue(socketserver.StreamRequestHandler):
    """As much of RFC 5321 as a client needs."""

    def handle(self) -> None:
        relay = self.server
        assert isinstance(relay, Relay)
        self._say("220 relay")
        for line in self.rfile:
            text = line.decode().rstrip()
            relay.heard.append(text)
            word = text[:4].upper()
            if word == "DATA":
                self._say("354 go on")
                while (content := self.rfile.readline().decode().rstrip("\r\n")) != ".":
                    relay.heard.append(content)
            if word == "QUIT":
                return self._say("221 bye")
            self._say("550 nobody" if word == "RCPT" and relay.refuses else "250 ok")
        return None

    def _say(self, text: str) -> None:
        self.wfile.write(f"{text}\r\n".encode())


@pytest.fixture
def relay() -> Iterator[Relay]:
    with Relay() as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
        thread.start()
        yield server
        server.shutdown()
        thread.join()


def told(relay: Relay) -> list[str]:
    complaints: list[str] = []
    port = relay.server_address[1]
    people = notifier([{"url": f"smtp://127.0.0.1:{port}/?to=a@lab,b@lab&from=rig@lab", "level": "alarm"}], complaints.append)
    people.tell("info", "nothing", "of interest")
    people.tell("critical", "cell: go and look", "the cell is on\nnow")
    assert people.close()
    return complaints


def test_an_alarm_is_a_letter_to_everybody_named(relay: Relay) -> None:
    assert told(relay) == []
    heard = relay.heard
    assert [line for line in heard if line.upper().startswith("RCPT")] == ["rcpt TO:<a@lab>", "rcpt TO:<b@lab>"]
    assert "Subject: [operando critical] cell: go and look" in heard
    assert heard[heard.index("the cell is on") + 1] == "now"
    assert len([line for line in heard if line.upper().startswith("MAIL")]) == 1


def test_a_relay_that_refuses_is_a_complaint_and_no_error(relay: Relay) -> None:
    relay.refuses = True
    (complaint,) = told(relay)
    assert "nobody was told `cell: go and look`" in complaint


@pytest.mark.parametrize("url", ["smtp://relay", "smtp:///?to=a@b", "smtp://relay/?to=nobody", "smtp://relay:x/?to=a@b"])
def test_a_url_that_names_nobody_is_refused_when_the_rig_is_read(url: str) -> None:
    with pytest.raises(BadNotify, match="smtp"):
        way({"url": url})


def test_a_title_cannot_smuggle_a_header_in() -> None:
    made = letter(mail_of("smtp://relay/?to=a@lab"), "alarm", "over\nBcc: all@lab", "text")
    assert made["Subject"] == "[operando alarm] over Bcc: all@lab"
    assert made["Bcc"] is None
