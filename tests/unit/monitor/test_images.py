"""Images over MQTT: strips of a few thousand bytes, a map when a series is complete, and never a spectrum of an echo under a gradient."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from image_taken import SIZE, TRUE_ms, image_taken

from orchestrator.model.events import Event
from orchestrator.monitor.dashboard.imaged import Imaged
from orchestrator.monitor.dashboard.rigs import Rigs, labels
from orchestrator.monitor.images import T2, strip, strips, whole
from orchestrator.monitor.picture import Picture
from orchestrator.monitor.tiles import NotATile
from orchestrator.monitor.topics import Topics

TOPICS = Topics("magnet-2")
S = 1_000_000_000


def taken(seq: int, block: int, echo_ms: float, **changed: Any) -> Event:
    return Event(seq, seq * S, 10**18 + seq * S, "fid.block", *image_taken(block, echo_ms, **changed))


@pytest.fixture
def heard(told: Any) -> Any:
    """What a dashboard knows after so many images of a series of three."""

    def after(images: int, **changed: Any) -> Any:
        picture, rigs = told(), Rigs(0.0)
        picture.feed([taken(10 + n, n, 2.0 + 4.0 * n, **changed) for n in range(images)])
        for out in picture.take().values():
            assert len(out.payload) <= 3900
            rigs.hear(out.topic, out.payload, 1.0, retained=True)
        state = picture.state("Magnet 2", rig_alive=True, heard_s=1.0, now_s=1.0)
        rigs.hear(TOPICS.state, state.encoded(), 1.0, retained=True)
        assert not rigs.not_understood
        return rigs.by_level["magnet-2"]

    return after


@pytest.fixture
def told() -> Any:
    from artificial_night import Night

    def begun() -> Picture:
        picture = Picture(TOPICS, "run")
        first = next(iter(Night().events()))
        picture.feed([first])
        return picture

    return begun


def test_an_image_is_seen_as_it_was_and_is_no_spectrum(heard: Any) -> None:
    rig = heard(1)
    ((image,), (found, values)) = rig.images, rig.pixels("image", "t2-map")
    assert (image.rows, image.columns, image.echo_ms, image.index) == (*SIZE, 2.0, 0)
    assert found.size_mm == pytest.approx((0.3, 0.125))
    assert values[10:20, 6:14].min() > 20 * np.median(values)
    assert rig.acquisitions == []
    assert labels(rig) == {"t2-map": "t2 map"}
    assert rig.pixels("map", "t2-map") is None


def test_a_complete_series_brings_its_map_and_the_page_draws_all_three(heard: Any) -> None:
    rig = heard(3)
    found, values = rig.pixels("map", "t2-map")
    assert found.of == T2
    assert np.median(values[11:19, 7:13]) == pytest.approx(TRUE_ms, rel=0.05)
    assert not values[:8].any()
    page = Imaged()
    page.feed(rig, "")
    assert all(figure.visible for figure in (page.image.figure, page.map.figure, page.spread))
    assert page.image.figure.xaxis[0].axis_label.startswith("TE 10 ms")
    assert (page.image.figure.y_range.end, page.image.figure.x_range.end) == pytest.approx((4.8, 1.5))
    assert sum(page._counts.data["top"]) == (values > 0).sum()


def test_a_night_without_images_shows_none_of_it(heard: Any) -> None:
    page = Imaged()
    page.feed(heard(0), "")
    assert not any(figure.visible for figure in (page.image.figure, page.map.figure, page.spread))


def test_an_image_that_was_halted_is_shown_as_nothing(heard: Any) -> None:
    rig = heard(1, encodes=64)
    assert rig.images == []
    assert rig.acquisitions == []


def test_a_large_image_is_joined_and_keeps_its_one_bright_pixel_and_its_size() -> None:
    values = np.zeros((300, 500))
    values[123, 456] = 7.0
    made = [strip(one.encoded()) for one in strips(0, values, (0.02, 0.01), 5, 2)]
    assert max(len(one.encoded()) for one in made) <= 3900
    found = whole(made, 5)
    assert found is not None
    one, seen = found
    assert seen.shape == (100, 125)
    assert seen.max() == pytest.approx(7.0, rel=1e-6)
    assert np.array(seen.shape) * one.size_mm == pytest.approx([6.0, 5.0])


def test_of_two_images_that_cross_only_a_whole_one_is_shown() -> None:
    older, newer = (list(strips(0, np.full((100, 100), value), (1.0, 1.0), 5, index)) for value, index in ((1.0, 0), (2.0, 1)))
    assert whole([*older[1:], newer[0]], 5) is None
    assert whole(newer, 4) is None
    found = whole([*older, *newer], 5)
    assert found is not None
    assert found[0].index == 1


@pytest.mark.parametrize("payload", [b"", b"\1" * 40, next(strips(0, np.ones((2, 2)), (1.0, 1.0), 1, 1)).encoded()[:-1]])
def test_what_is_no_strip_is_refused(payload: bytes) -> None:
    with pytest.raises(NotATile):
        strip(payload)
