"""``python -m orchestrator`` is ``operando``."""

import sys

from orchestrator.cli import main

sys.exit(main())
