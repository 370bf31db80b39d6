"""Shell completion: the script that a shell takes in, and what it then answers."""

from __future__ import annotations

import os
import shlex
import subprocess
import sys

import pytest

OPERANDO = [sys.executable, "-c", "import sys; from orchestrator.cli import main; sys.exit(main())"]


@pytest.mark.parametrize(("words", "at", "offers"), [("operando pot", 1, "potentiostat"), ("operando report --", 2, "--json")])
def test_a_shell_is_offered_commands_and_options(words: str, at: int, offers: str) -> None:
    asked = os.environ | {"_OPERANDO_COMPLETE": "complete_bash", "COMP_WORDS": words, "COMP_CWORD": str(at)}
    told = subprocess.run(OPERANDO, env=asked, capture_output=True, text=True, check=True).stdout
    assert offers in told.split()


def test_a_shell_can_be_given_the_script() -> None:
    asked = f"{shlex.join(OPERANDO)} --show-completion; exit $?"
    told = subprocess.run(["bash", "-c", asked], capture_output=True, text=True, check=True).stdout
    assert "complete -o default -F _operando_completion operando" in told
