"""Takes docs/images/dashboard-phone.png and -desktop.png from a simulated run, in the real browser: python docs/images/take_dashboard.py.

Needs chromium and the extra `[dashboard]`, and three minutes: the demo runs, and is looked at when it has a cycle before to compare with.
"""  # noqa: INP001

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from playwright.sync_api import Page, sync_playwright

HERE = Path(__file__).parent
OPERANDO = (sys.executable, "-m", "orchestrator")
PHONE = {"viewport": {"width": 390, "height": 844}, "device_scale_factor": 2, "has_touch": True, "is_mobile": True}
DESKTOP = {"viewport": {"width": 1100, "height": 900}}
CYCLE = 2
PATIENCE_ms = 300_000
SHOWN = "Bokeh.documents[0].get_model_by_name('{}')?.data_source.data.{}.length > 0"


@contextmanager
def started(*command: str) -> Iterator[dict[str, Any]]:
    """A program of ours, and the first line that it says."""
    with subprocess.Popen((*OPERANDO, *command, "--json"), stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        try:
            yield json.loads(process.stdout.readline())
        finally:
            process.terminate()


def look(browser: Any, url: str, **how: Any) -> Page:
    """The page of the rig, with everything on it drawn."""
    page: Page = browser.new_context(**how).new_page()
    page.set_default_timeout(PATIENCE_ms)
    page.goto(f"{url}/rig?rig=sim")
    page.locator(".sentence.fine").wait_for()
    return page


def ready(page: Page) -> None:
    """Somewhere in the second cycle, with all plots drawn."""
    page.locator(".sentence .rest").filter(has_text=re.compile(rf"cycle {CYCLE}, (4[2-9]|5\d|6\d) %")).wait_for()
    for name, column in (("area", "x"), ("fitted", "xs"), ("close", "xs")):
        page.wait_for_function(SHOWN.format(name, column))


def take(speed: str, scratch: Path) -> None:
    """Both pictures of the same run."""
    os.environ["OPERANDO_HOME"] = str(scratch / "home")
    with started("broker", "--port", "0", "--home", str(scratch / "home")) as broker, sync_playwright() as playwright:
        os.environ["OPERANDO_BROKER"] = broker["url"]
        browser = playwright.chromium.launch(executable_path=shutil.which("chromium"), args=["--no-sandbox"])
        command = (*OPERANDO, "demo", "--speed", speed, "--out", str(scratch / "runs"), "--json")
        with (
            started("dashboard", "--port", "0", "--broker", broker["url"]) as page_of,
            subprocess.Popen(command, stdout=subprocess.DEVNULL) as run,
        ):
            try:
                pages = {"phone": look(browser, page_of["url"], **PHONE), "desktop": look(browser, page_of["url"], **DESKTOP)}
                for name, page in pages.items():
                    ready(page)
                    page.wait_for_timeout(2500)
                    page.screenshot(path=HERE / f"dashboard-{name}.png", full_page=name == "desktop")
            finally:
                run.terminate()
                run.wait()
        browser.close()


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as folder:
        take(sys.argv[1] if len(sys.argv) > 1 else "20", Path(folder))
