"""``python -m orchestrator.observer RUN_FOLDER``."""

from __future__ import annotations

import sys
from pathlib import Path

from orchestrator.observer.process import follow

if __name__ == "__main__":
    sys.exit(follow(Path(sys.argv[1])))
