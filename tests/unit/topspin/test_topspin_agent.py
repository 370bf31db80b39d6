"""The shipped agent file over its socket: what it does in TopSpin, and what it refuses."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest


def prepared(console: Any, client: Any, key: str = "a00001-quant", **more: Any) -> str:
    request = {"template": str(console.template), "folder": str(console.root / "cellA"), "key": key, "par": {"NS": 16, "D 1": "2"}}
    answer = client.ask("prepare", **{**request, **more})
    assert "target" in answer, answer
    return answer["target"]


def test_one_acquisition(console: Any) -> None:
    client = console.controller()
    assert client.greeting["agent"] == "tsbridge/1"
    assert client.greeting["state"] == "idle"
    asked = {"NS": 16, "DS": 2, "D 1": 2.0, "TD": 2048, "O1P": 137}
    answer = client.ask(
        "prepare",
        template=str(console.template),
        folder=str(console.root / "cellA"),
        key="a00001-quant",
        par=asked,
        title="cell A, 3.71 V",
    )
    target = console.root / "cellA" / "1"
    assert answer["target"] == str(target)
    found = {name: float(answer["readback"][name]) for name in ("NS", "DS", "D 1", "TD", "O1", "P 1", "BF1")}
    assert found == {"NS": 16, "DS": 2, "D 1": 2, "TD": 2048, "O1": pytest.approx(137 * 116.641914), "P 1": 8, "BF1": 116.641914}
    assert (target / "pdata" / "1" / "title").read_text() == "cell A, 3.71 V\nopnmr:a00001-quant"
    left = [name for name in ("fid", "acqus", "audita.txt", "pdata/1/1r") if (target / name).exists()]
    assert left == [], "the template's old data look like an acquisition"

    assert client.ask("start", key="a00001-quant", target=answer["target"])["state"] == "running"
    done = client.until("done")
    assert (done["key"], done["block"], done["target"]) == ("a00001-quant", 0, str(target))
    assert done["audit_md5_ok"] is True
    assert done["fid_bytes"] == (target / "fid").stat().st_size == 8192
    assert client.ask("status")["state"] == "idle"


def test_the_data_set_is_shown_immediately_before_zg(console: Any) -> None:
    client = console.controller()
    target = prepared(console, client)
    client.ask("start", key="a00001-quant", target=target)
    client.until("done")
    said = console.said()
    assert said[said.index("XCMD zg") - 1] == f"RE {target}"
    assert [line.split()[0] for line in said if line.split()[0] in {"RE", "WR", "PUTPAR", "XCMD"}] == [
        "RE", "WR", "RE", "PUTPAR", "PUTPAR", "RE", "XCMD",
    ]  # fmt: skip


def test_another_experiment_number_each_time(console: Any) -> None:
    client = console.controller()
    targets = []
    for n in range(3):
        targets.append(prepared(console, client, f"a0000{n}"))
        client.ask("start", key=f"a0000{n}", target=targets[-1])
        client.until("done")
    assert [target.rpartition("/")[2] for target in targets] == ["1", "2", "3"]


@pytest.mark.parametrize(
    ("change", "code"),
    [
        ({"template": "/etc/passwd/1"}, "bad_request"),
        ({"template": "relative/1"}, "bad_request"),
        ({"folder": "/tmp"}, "bad_request"),
        ({"folder": "{root}/../elsewhere"}, "bad_request"),
        ({"folder": "{root}/a b"}, "bad_request"),
        ({"folder": "{root}/link"}, "bad_request"),
        ({"target": "{root}/cellA/1; rm"}, "bad_request"),
        ({"target": "{root}/templates/1"}, "target_exists"),
        ({"key": "../x"}, "bad_request"),
        ({"key": "x');XCMD('zg"}, "bad_request"),
        ({"par": {"P 1": 9}}, "par_rejected"),
        ({"par": {"PLW 1": 100}}, "par_rejected"),
        ({"par": {"PULPROG": "<evil>"}}, "bad_request"),
        ({"par": {"NS": 0}}, "par_rejected"),
        ({"par": {"NS": "nan"}}, "bad_request"),
        ({"par": {"TD": 1023}}, "par_rejected"),
        ({"par": {"D 1": 0}}, "par_rejected"),
        ({"par": {"O1": 1e9}}, "par_rejected"),
    ],
)
def test_what_prepare_refuses(visitor: Any, change: dict[str, Any], code: str) -> None:
    console = visitor
    client = console.controller()
    request = {"template": str(console.template), "folder": str(console.root / "cellA"), "key": "a1", "par": {"NS": 16}}
    request |= {name: value.format(root=console.root) if isinstance(value, str) else value for name, value in change.items()}
    assert client.ask("prepare", **request)["code"] == code
    assert not any(line.startswith(("WR", "PUTPAR")) for line in console.said())


def test_a_template_of_two_dimensions_is_refused(consoles: Callable[..., Any]) -> None:
    console = consoles()
    acqu = console.template / "acqu"
    acqu.write_text(acqu.read_text().replace("PARMODE= 0", "PARMODE= 2D"))
    client = console.start().controller()
    answer = client.ask("prepare", template=str(console.template), folder=str(console.root / "cellA"), key="a1")
    assert (answer["code"], "one-dimensional" in answer["text"]) == ("bad_request", True)


def test_a_pulse_only_inside_what_the_site_unlocks(consoles: Callable[..., Any]) -> None:
    client = (console := consoles(unlock={"P 1": [1, 10]})).start().controller()
    assert prepared(console, client, par={"P 1": 5})
    request = {"template": str(console.template), "folder": str(console.root / "cellA"), "key": "a2", "par": {"P 1": 11}}
    assert client.ask("prepare", **request)["code"] == "par_rejected"


def test_parameters_that_topspin_loses_silently_are_noticed(console: Any) -> None:
    console.switch(fault="lost parameters")
    client = console.controller()
    answer = client.ask("prepare", template=str(console.template), folder=str(console.root / "cellA"), key="a1", par={"NS": 16})
    assert answer == {"code": "par_rejected", "text": "NS was set to 16, TopSpin says 4"}


def test_a_topspin_that_shows_something_else_acquires_nothing(console: Any) -> None:
    client = console.controller()
    target = prepared(console, client)
    console.switch(fault="clicked")
    answer = client.ask("start", key="a00001-quant", target=target)
    assert answer["code"] == "locked"
    assert "/elsewhere/somebody/7" in answer["text"]
    assert "XCMD zg" not in console.said()


def test_a_dialog_does_not_block_the_network(consoles: Callable[..., Any]) -> None:
    console = consoles(dialog_s=0.5).start()
    client = console.controller()
    console.switch(fault="dialog", dialog_s=60.0)
    answer = client.ask("prepare", template=str(console.template), folder=str(console.root / "cellA"), key="a1")
    assert answer["code"] == "dialog_suspected"
    assert client.ask("status")["state"] == "preparing"
    answer = client.ask("prepare", template=str(console.template), folder=str(console.root / "cellA"), key="a2")
    assert (answer["code"], "dialog" in answer["text"]) == ("busy", True)


@pytest.mark.parametrize(
    ("fault", "words"),
    [("no data", ["no data in", "zg returned -1"]), ("raises", ["locked by user colleague"]), ("torn", ["hash"])],
)
def test_zg_that_leaves_no_good_data_fails_with_a_reason(console: Any, fault: str, words: list[str]) -> None:
    client = console.controller()
    target = prepared(console, client)
    console.switch(fault=fault)
    client.ask("start", key="a00001-quant", target=target)
    failed = client.until("failed")
    assert failed["code"] == "no_raw_data"
    assert all(word in failed["text"] for word in words), failed["text"]
    assert client.ask("find", key="a00001-quant")["state"] == "failed"


def test_halt_keeps_and_stop_discards(console: Any) -> None:
    client = console.controller()
    for how, ends in (("halt", "done"), ("stop", "failed")):
        console.switch(zg_s=30.0)
        target = prepared(console, client, how)
        client.ask("start", key=how, target=target)
        assert client.ask("status")["state"] == "running"
        assert client.ask("prepare", template=str(console.template), folder=str(console.root / "x"), key="b")["code"] == "busy"
        assert client.ask(how, key="somebody else's")["code"] == "not_idle"
        assert client.ask(how, key=how)["state"] == "stopping"
        assert client.until(ends)["key"] == how
    assert client.ask("halt", key="halt")["code"] == "bad_request"
    acqus = (console.root / "cellA" / "1" / "acqus").read_text()
    assert "##$NS= 1\n" in acqus


def test_the_deadline_halts(console: Any) -> None:
    console.switch(zg_s=3600.0)
    client = console.controller()
    target = prepared(console, client)
    client.ask("start", key="a00001-quant", target=target, deadline_s=0.2)
    assert client.until("stopping")["how"] == "halt"
    assert client.until("done")["target"] == target


def test_the_same_key_is_started_once_even_by_another_agent(console: Any) -> None:
    client = console.controller()
    target = prepared(console, client)
    client.ask("start", key="a00001-quant", target=target)
    assert client.ask("start", key="a00001-quant", target=target)["again"] is True
    client.until("done")
    console.kill()
    client = console.start().controller()
    assert client.ask("find", key="a00001-quant")["state"] == "done"
    assert client.ask("start", key="a00001-quant", target=target)["again"] is True
    answer = client.ask("prepare", template=str(console.template), folder=str(console.root / "cellA"), key="a00001-quant")
    assert answer["code"] == "target_exists"
    assert console.said().count("XCMD zg") == 1


def test_losing_the_controller_stops_nothing_and_nothing_is_missed(console: Any) -> None:
    console.switch(zg_s=0.5)
    client = console.controller()
    target = prepared(console, client)
    client.ask("start", key="a00001-quant", target=target)
    seen = client.until("started")["seq"]
    client.close()
    again = console.client()
    greeting = again.hello(since=seen)
    assert (greeting["state"], greeting["key"]) == ("running", "a00001-quant")
    assert again.until("done")["target"] == target
    late = console.client()
    late.hello(role="observe", since=seen)
    assert [late.line()["ev"] for _ in range(2)] == ["acquired", "done"]


def test_every_transition_is_on_the_disk(console: Any) -> None:
    client = console.controller()
    target = prepared(console, client)
    client.ask("start", key="a00001-quant", target=target)
    client.until("done")
    lines = [json.loads(line) for line in (console.root / "operando_agent.jsonl").read_text().splitlines()]
    assert [line["ev"] for line in lines] == ["agent", "prepared", "started", "acquired", "done"]
    assert [line["seq"] for line in lines] == [1, 2, 3, 4, 5]
    beat = json.loads((console.root / "operando_agent.state").read_text())
    assert beat["port"] == console.where["port"]
