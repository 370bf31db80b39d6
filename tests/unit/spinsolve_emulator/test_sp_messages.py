"""What the program answers, to whatever shape of request: the description's own examples, and what six clients are known to send."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from spinsolve_client import LITHIUM, Client, Desk

SENT_BY_CLIENTS = {
    "no declaration": b"<Message><HardwareRequest/></Message>",
    "single quotes": b"<?xml version='1.0' encoding='utf-8'?><Message><HardwareRequest/></Message>",
    "CRLF and indents": b'\r\n<?xml version="1.0" encoding="utf-8"?>\r\n<Message>\r\n  <HardwareRequest/>\r\n</Message>\r\n',
    "byte order mark": b"\xef\xbb\xbf<?xml version='1.0'?>\n<Message><HardwareRequest></HardwareRequest></Message>",
}


@pytest.mark.parametrize("sent", SENT_BY_CLIENTS.values(), ids=SENT_BY_CLIENTS)
def test_every_shape_of_request_is_read(play: Callable[..., None], sent: bytes) -> None:
    async def scene(_desk: Desk, client: Client) -> None:
        await client.stream.write(sent)
        found = await client.until(lambda: [one for _, one in client.seen if one.tag == "HardwareResponse"])
        assert [child.tag for child in found[0]][:3] == ["SpinsolveSoftware", "RemoteControlVersion", "ConnectedToHardware"]
        assert found[0].findtext("ConnectedToHardware") == "true"

    play(scene)


def test_requests_in_one_piece_and_in_single_bytes(play: Callable[..., None]) -> None:
    async def scene(desk: Desk, client: Client) -> None:
        both = SENT_BY_CLIENTS["no declaration"] + SENT_BY_CLIENTS["CRLF and indents"]
        await client.stream.write(both)
        for byte in both:
            await client.stream.write(bytes([byte]))
            await desk.clock.sleep(0.001)
        await client.until(lambda: [one.tag for _, one in client.seen] == ["HardwareResponse"] * 4)

    play(scene)


def test_answers_look_like_recorded_traffic(play: Callable[..., None]) -> None:
    async def scene(_desk: Desk, client: Client) -> None:
        await client.run(Number="1")
        first, last = client.raw[0], client.raw[-1]
        assert first.startswith(b'<?xml version="1.0" encoding="utf-8"?><Message><StatusNotification timestamp="')
        assert b'<State protocol="1D LITHIUM+" status="Running" dataFolder="" />' in first
        assert b'<Completed protocol="1D LITHIUM+" completed="true" successful="true" />' in last
        assert all(raw.startswith(b"<?xml") for raw in client.raw), "something stands between documents"

    play(scene)


def test_protocols_are_found_at_run_time(play: Callable[..., None]) -> None:
    async def scene(_desk: Desk, client: Client) -> None:
        names = [one.text for one in await client.ask("<AvailableProtocolsRequest/>", "AvailableProtocolsResponse")]
        assert {"1D PROTON", "1D EXTENDED+", "SHIM", LITHIUM, "1D SODIUM+"} <= set(names)
        found = await client.ask("<AvailableProtocolOptionsRequest/>", "AvailableProtocolOptionsResponse")
        assert [one.get("protocol") for one in found] == names
        assert len(client.raw[-1]) > 6000, "one read of a usual buffer would hold it"
        extended = {one.get("name"): [value.text for value in one] for one in found.find("Protocol[@protocol='1D EXTENDED+']") or ()}
        assert extended["PulseAngle"] == ["30", "45", "60", "90"]
        assert extended["AcquisitionTime"] == ["0.4", "0.8", "1.6", "3.2", "6.4"]
        one = await client.ask(f'<AvailableOptionsRequest protocol="{LITHIUM}"/>', "AvailableOptionsResponse")
        assert "Number" in {option.get("name") for option in one}
        assert all(len(option) for option in one), "an Option of this list has at least one Value"

    play(scene)


def test_options_of_the_last_run_are_remembered(play: Callable[..., None]) -> None:
    async def scene(_desk: Desk, client: Client) -> None:
        async def now() -> dict[str | None, str | None]:
            found = await client.ask(f'<ProtocolOptionsRequest protocol="{LITHIUM}"/>', "ProtocolOptionsResponse")
            return {one.get("name"): one.get("value") for one in found}

        assert (await now())["Number"] == "4"
        await client.run(Number="3")
        assert (await now())["Number"] == "3"
        wrong = await client.ask('<ProtocolOptionsRequest protocol="nothing"/>', "ProtocolOptionsResponse")
        assert wrong.get("error")

    play(scene)


def test_duration_is_what_the_run_lasts(play: Callable[..., None]) -> None:
    async def scene(desk: Desk, client: Client) -> None:
        asked = '<Option name="Number" value="5"/><Option name="RepetitionTime" value="2"/><Option name="AcquisitionTime" value="0.02"/>'
        found = await client.ask(
            f'<EstimateDurationRequest protocol="{LITHIUM}">{asked}</EstimateDurationRequest>', "EstimateDurationResponse"
        )
        assert [one.get("name") for one in found] == ["Number", "RepetitionTime", "AcquisitionTime"]
        begin_ns = desk.clock.mono_ns()
        await client.run(Number="5", RepetitionTime="2")
        assert float(found.get("durationInSeconds", 0)) == pytest.approx((desk.clock.mono_ns() - begin_ns) / 1e9, abs=0.01)
        wrong = await client.ask(
            '<EstimateDurationRequest protocol="1D PROTON"><Option name="Number" value="1"/></EstimateDurationRequest>',
            "EstimateDurationResponse",
        )
        assert "Number" in str(wrong.get("error"))

    play(scene)


def test_what_is_set_can_be_asked_for_and_an_empty_value_removes(play: Callable[..., None]) -> None:
    async def scene(_desk: Desk, client: Client) -> None:
        async def user_data() -> dict[str | None, str | None]:
            found = await client.ask("<GetRequest><UserData/></GetRequest>", "GetResponse")
            return {one.get("key"): one.get("value") for one in found[0]}

        await client.send('<Set><UserData><Data key="opnmr_key" value="step-12"/><Data key="b" value="&lt;2&quot;"/></UserData></Set>')
        assert await user_data() == {"opnmr_key": "step-12", "b": '<2"'}
        await client.send('<Set><UserData><Data key="b" value=""/><Data key="c" value="3"/></UserData></Set>')
        assert await user_data() == {"opnmr_key": "step-12", "c": "3"}
        await client.send("<Set><Sample>cell A</Sample></Set>")
        await client.send("<Set><Solvent>None</Solvent></Set>", declared=False)
        assert (await client.ask("<GetRequest><Sample/></GetRequest>", "GetResponse"))[0].text == "cell A"
        assert (await client.ask("<GetRequest><Solvent/></GetRequest>", "GetResponse"))[0].text == "None"

    play(scene)


MALFORMED = {
    "DataFolder under Message": "<DataFolder><TimeStamp>D:\\x</TimeStamp></DataFolder>",
    "UserFolder beside DataFolder": "<Set><DataFolder/><UserFolder>D:\\x</UserFolder></Set>",
    "user data as attributes": '<Set><UserData><Data key="" opnmr_key="step-12"/></UserData></Set>',
    "two children": "<Abort/><Abort/>",
    "no such thing": "<Nonsense/>",
    "no XML": "<Set",
    "a document type": "<!DOCTYPE x><Abort/>",
}


@pytest.mark.parametrize("strict", [True, False])
@pytest.mark.parametrize("sent", MALFORMED.values(), ids=MALFORMED)
def test_malformed_requests_are_refused_or_ignored(play: Callable[..., None], sent: str, strict: bool) -> None:
    async def scene(_desk: Desk, client: Client) -> None:
        await client.send(sent)
        await client.ask("<HardwareRequest/>", "HardwareResponse")
        assert len(client.told("Error")) == (1 if strict else 0)
        found = await client.ask("<GetRequest><UserData/></GetRequest>", "GetResponse")
        assert len(found[0]) == 0

    play(scene, strict=strict)


def test_the_two_profiles(play: Callable[..., None]) -> None:
    for profile, expected in (("real", True), ("xsd", False)):

        async def scene(_desk: Desk, client: Client, expected: bool = expected) -> None:
            await client.run()
            progress = [one for _, one in client.told("Progress")]
            assert [one.get("percentage") for one in progress] == ["25", "50", "75", "100"]
            assert all(("secondsRemaining" in one.attrib) == expected for one in progress)

        play(scene, profile=profile)
    with pytest.raises(ValueError, match="there are: real, xsd"):
        play(lambda desk, client: None, profile="mixed")


def test_shim_requests_answer_after_ready(play: Callable[..., None]) -> None:
    async def scene(desk: Desk, client: Client) -> None:
        found = await client.ask("<CheckShimRequest/>", "CheckShimResponse")
        names = ["OperatingTemperature", "StableTemperatures", "StableLock", "LineWidth", "BaseWidth", "SystemIsReady"]
        assert [one.tag for one in found] == names
        assert float(found.findtext("LineWidth", "9")) <= 1.0
        assert found.findtext("SystemIsReady") == "true"
        states = [(one.get("protocol"), one.get("status"), one.get("dataFolder")) for _, one in client.told("State")]
        assert states == [("SHIM", "Running", ""), ("SHIM", "Ready", "")]
        assert [one.tag for _, one in client.seen][-1] == "CheckShimResponse"
        desk.emulator.inject("shim_bad")
        desk.emulator.inject("lock_lost")
        worse = await client.ask("<QuickShimRequest/>", "QuickShimResponse")
        assert float(worse.findtext("LineWidth", "0")) == 4.0
        assert worse.findtext("StableLock") == "false"
        assert worse.findtext("SystemIsReady") == "false"

    play(scene)


def test_a_busy_magnet_is_not_shimmed(play: Callable[..., None]) -> None:
    async def scene(_desk: Desk, client: Client) -> None:
        await client.start()
        await client.notified("State", status="Running")
        found = await client.ask("<PowerShimRequest/>", "PowerShimResponse")
        assert found.get("error")
        await client.notified("Completed", successful="true")

    play(scene)


def test_shim_as_a_protocol_has_no_data(play: Callable[..., None]) -> None:
    async def scene(desk: Desk, client: Client) -> None:
        assert await client.run("SHIM", Shim="CheckShim") == ""
        assert client.told("Progress") == []
        assert list(desk.emulator.disk.root.iterdir()) == []

    play(scene)
