"""``python -m orchestrator.guard``."""

import sys

from orchestrator.guard.process import main

sys.exit(main())
