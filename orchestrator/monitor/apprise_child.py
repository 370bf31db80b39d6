"""``python -m orchestrator.monitor.apprise_child``: one message, read from stdin, to one apprise URL. Its parent ends it in time."""

from __future__ import annotations

import json
import sys
from importlib import import_module

KINDS = {"info": "info", "warn": "warning", "alarm": "failure", "critical": "failure"}


def main() -> int:
    """0 when apprise says that it was delivered."""
    told = json.loads(sys.stdin.read())
    try:
        apprise = import_module("apprise").Apprise()
    except ImportError:
        print("apprise is not installed: pip install 'operando-nmr[notify]'", file=sys.stderr)  # noqa: T201
        return 1
    if not apprise.add(told["url"]):
        print("apprise does not understand the url", file=sys.stderr)  # noqa: T201
        return 1
    return 0 if apprise.notify(body=told["text"] or told["title"], title=told["title"], notify_type=KINDS.get(told["level"], "info")) else 1


if __name__ == "__main__":
    sys.exit(main())
