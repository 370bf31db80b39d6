"""The two pages: all rigs, and one rig. Each open page looks ten times a second whether there is something new, and draws that."""

from __future__ import annotations

from collections.abc import Callable
from html import escape
from pathlib import Path
from typing import Any

import panel as pn
from numpy.typing import NDArray

from orchestrator.monitor.dashboard import buttons, page
from orchestrator.monitor.dashboard.client import Client
from orchestrator.monitor.dashboard.halves import Areas, Halves, areas, halves
from orchestrator.monitor.dashboard.imaged import Imaged
from orchestrator.monitor.dashboard.person import Person
from orchestrator.monitor.dashboard.plots import Night, Overlay
from orchestrator.monitor.dashboard.pressing import Pressing
from orchestrator.monitor.dashboard.rigs import Rig, labels, metal
from orchestrator.monitor.dashboard.seen import Newest, Observed

LOOK_ms = 100
PLAIN: dict[str, Any] = {"sizing_mode": "stretch_width", "margin": 0}
WHICH = """:host .bk-btn, .bk-btn { background: #1d2530; color: #e6edf3; border-color: #2e3a48; font-size: 14px; min-height: 40px; }
.bk-btn.bk-active { background: #33445a; color: #ffffff; font-weight: 600; }"""
SELECT = """:host select, .bk-input { background: #1d2530; color: #e6edf3; border-color: #2e3a48; font-size: 15px; height: 40px; }"""
AGES_s = 1.0
PICTURES_s = 2.0
CSS = (Path(__file__).parent / "page.css").read_text("utf-8")
BODY = """
html, body { background: #0b0f14; margin: 0; color-scheme: dark; overscroll-behavior: none; }
html body { padding: 6px 10px; height: auto; box-sizing: border-box; max-width: 860px; margin: 0 auto; }
#silent { position: fixed; z-index: 9; inset: 0 0 auto 0; padding: 12px 14px; background: #7a1fa0; color: #fff;
  font: 700 18px/1.25 system-ui, "DejaVu Sans", sans-serif; }
#silent[hidden] { display: none; }
body.silent > :not(#silent) { filter: grayscale(1) brightness(0.55); }
"""
HEAD = """
{% extends base %}
{% block postamble %}
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="dark">
<meta name="theme-color" content="#0b0f14">
<style>%s</style>
{% endblock %}
{% block js_resources %}{% endblock %}
{% block contents %}
<div id="first"><template shadowrootmode="open"><style>CSS</style>{{ first }}<div class="none">opening …</div></template></div>
<script>
setTimeout(() => {
  const first = document.getElementById("first");
  if (first) first.textContent = "STALE: this page did not open. Load it again.";
  if (first && first.shadowRoot) first.shadowRoot.innerHTML = `<b style="color: #ff6b62">${first.textContent}</b>`;
}, 20000);
</script>
{{ bokeh_js }}
{{ super() }}
{% endblock %}
""".replace("%s", BODY).replace("CSS", CSS)


def _html(**options: Any) -> Any:
    return pn.pane.HTML("", stylesheets=[CSS], sizing_mode="stretch_width", margin=(0, 0, 7, 0), **options)


def _put(pane: Any, text: str) -> None:
    if pane.object != text:
        pane.object = text


def _page(first: str, *parts: Any) -> Any:
    """``first``: what is to be read before the browser has all that it needs."""
    template = pn.Template(HEAD)
    template.add_variable("first", first)
    template.add_panel("page", pn.Column(*parts, sizing_mode="stretch_width", margin=0))
    return template


def overview_page(client: Client) -> Any:
    """A card for every rig."""
    cards, heart = _html(), buttons.Heart()
    _every(lambda beat: _overview(client, cards, heart, beat), heart)
    return _page(cards.object, cards, heart)


def _overview(client: Client, cards: Any, heart: Any, beat: int) -> None:
    if beat % 10 == 0:
        found = {rig.level: halves(rig.samples()) for rig in client.rigs.shown}
        _put(cards, page.overview(client.rigs, found, client.now_s()))
        heart.beat += 1


def _every(look: Callable[[int], None], heart: buttons.Heart) -> None:
    """Look now, and again and again once the page has said that it is there."""
    beats = iter(range(1 << 62))
    look(next(beats))
    pn.state.add_periodic_callback(lambda: look(next(beats)) if heart.alive else None, period=LOOK_ms)


class RigPage:
    """One rig on one open page."""

    def __init__(self, client: Client, level: str, person: Person) -> None:
        self._client, self._level, self._person = client, level, person
        self._seen = (-1, -1, False)
        self._aged_s = self._drawn_s = 0.0
        self._waiting = True
        self.top, self.health, self.fit, self.log, self.who = (_html() for _ in range(5))
        self.heart = buttons.Heart()
        self.pressing = Pressing(person, level, lambda: self._rig.state)
        self.overlay = Overlay()
        self.below = pn.Column(**PLAIN)
        self._below: tuple[Night, Newest, Newest, Observed, Imaged] | None = None
        self.which = pn.widgets.RadioButtonGroup(
            options={}, visible=False, sizing_mode="stretch_width", margin=(8, 0, 4, 0), stylesheets=[WHICH]
        )
        self.what = pn.widgets.Select(options={}, visible=False, sizing_mode="stretch_width", margin=(8, 0, 4, 0), stylesheets=[SELECT])
        for choice in (self.which, self.what):
            choice.param.watch(lambda _: self._draw(), "value")

    def shown(self) -> Any:
        """The page, kept up to date while it is open."""
        pn.state.onload(self._ask_rights)
        _every(lambda _: self._look(), self.heart)
        overlay = pn.pane.Bokeh(self.overlay.figure, **PLAIN)
        main, further = self.pressing.main, self.pressing.further
        return _page(self.top.object, self.top, overlay, self.health, main, self.below, further, self.log, self.who, self.heart)

    def _unfold(self) -> None:
        """What is further down is made when the first screen stands."""
        night, newest, close, observed, imaged = self._below = Night(), Newest(), Newest(close=True), Observed(), Imaged()
        self._draw()
        beside = pn.Row(*(pn.pane.Bokeh(one, **PLAIN) for one in (night.map, night.side)), **PLAIN)
        newest_, close_, observed_ = (pn.pane.Bokeh(one.figure, **PLAIN) for one in (newest, close, observed))
        images = pn.Row(*(pn.pane.Bokeh(one.figure, **PLAIN) for one in (imaged.image, imaged.map)), **PLAIN)
        spread = pn.pane.Bokeh(imaged.spread, **PLAIN)
        self.below.objects = [self.which, beside, newest_, close_, self.fit, images, spread, self.what, observed_]

    # ---------------------------------------------------------------------------------------------------------- looking

    @property
    def _rig(self) -> Rig:
        return self._client.rigs.by_level.get(self._level) or Rig(self._level)

    def _look(self) -> None:
        rig, now_s = self._rig, self._client.now_s()
        seen = (rig.changes, rig.pictures, self._client.rigs.lost_s is None)
        if seen == self._seen and now_s - self._aged_s < AGES_s:
            return
        changed, self._seen = seen[1] != self._seen[1], seen
        if now_s - self._aged_s >= AGES_s:
            self._aged_s = now_s
            self.heart.beat += 1
        self._words(rig, now_s)
        if self._below is None and self.heart.alive:
            self._unfold()
        self._waiting = changed or self._waiting
        if self._waiting and now_s - self._drawn_s >= PICTURES_s:
            self._drawn_s, self._waiting = now_s, False
            self._draw()

    def _words(self, rig: Rig, now_s: float) -> None:
        lost_s = self._client.rigs.lost_s
        samples = rig.samples()
        half = halves(samples)
        self.overlay.feed(half, self._metal(rig, half, samples))
        _put(self.top, page.first_screen(rig, half, lost_s, now_s))
        _put(self.health, page.health(rig, half, lost_s, now_s))
        _put(self.log, page.events(rig))
        if rig.state is not None:
            self.pressing.show(rig.state, rig.alarms)

    def _draw(self) -> None:
        if self._below is None:
            return
        rig = self._rig
        _choose(self.which, {name: level for level, name in labels(rig).items()})
        acquisition = self.which.value or ""
        first = metal(rig, acquisition)
        told = sorted(rig.observables.items(), key=lambda one: (one[0] != first, one[1].name))
        _choose(self.what, {one.name: level for level, one in told if len(rig.seen(acquisition, level)) > 1})
        samples = rig.samples()
        night, newest, close, observed, imaged = self._below
        imaged.feed(rig, acquisition)
        night.feed(rig, self.which.value, samples)
        newest.feed(rig, self.which.value)
        close.feed(rig, self.which.value)
        _put(self.fit, page.fit(rig, acquisition))
        observed.feed(rig, (acquisition, self.what.value) if self.what.value else None, samples)

    def _metal(self, rig: Rig, half: Halves | None, samples: NDArray[Any]) -> Areas | None:
        acquisition = self.which.value or next(iter(rig.acquisitions), "")
        level = metal(rig, acquisition)
        return None if level is None else areas(half, rig.observables[level].name, rig.seen(acquisition, level), samples)

    async def _ask_rights(self) -> None:
        words = "may command" if await self.pressing.ask_rights() else "may look, not command"
        _put(self.who, f'<div class="none">{escape(self._person.who or self._person.user)} {words}</div>')


def _choose(choice: Any, options: dict[str, str]) -> None:
    """Offer these; nothing to choose from one."""
    if choice.options != options:
        kept = choice.value if choice.value in options.values() else next(iter(options.values()), None)
        choice.param.update(options=options, value=kept, visible=len(options) > 1)
