"""The agent as a file: one that Jython 2.7 can read, whatever Python looks at it; and what it makes of real data sets."""

from __future__ import annotations

import ast
import importlib.util
import re
import shutil
import subprocess
import sys
import tokenize
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import pytest

AGENT = Path(__file__).parents[3] / "drivers" / "topspin" / "agent" / "operando_agent.py"
SOURCE = AGENT.read_text("utf-8")
STANDARD = {
    "__builtin__", "__future__", "Queue", "TopCmds", "binascii", "builtins", "errno", "getpass", "hashlib", "hmac", "java", "json", "os",
    "queue", "re", "socket", "sys", "threading", "time",
}  # fmt: skip
TOO_NEW = (
    ast.AnnAssign, ast.AsyncFor, ast.AsyncFunctionDef, ast.AsyncWith, ast.Await, ast.FormattedValue, ast.JoinedStr, ast.MatMult, ast.Match,
    ast.NamedExpr, ast.Nonlocal, ast.YieldFrom,
)  # fmt: skip


@pytest.fixture(scope="module")
def agent() -> ModuleType:
    spec = importlib.util.spec_from_file_location("operando_agent", AGENT)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def too_new(tree: ast.AST) -> Iterator[str]:
    """What Python 2.7 has no grammar for (as far as the tree of Python 3 still shows it)."""
    for node in ast.walk(tree):
        where = f"line {getattr(node, 'lineno', '?')}: {type(node).__name__}"
        if isinstance(node, TOO_NEW):
            yield where
        elif isinstance(node, ast.arguments) and (node.kwonlyargs or node.posonlyargs or any(a.annotation for a in node.args)):
            yield f"{where}: {ast.unparse(node)}"
        elif isinstance(node, ast.FunctionDef) and node.returns is not None:
            yield f"{where}: -> in {node.name}"
        elif isinstance(node, ast.ClassDef) and node.keywords:
            yield f"{where}: keywords of {node.name}"
        elif isinstance(node, ast.Raise) and node.cause is not None:
            yield f"{where}: raise … from"
        elif isinstance(node, ast.Call) and sum(keyword.arg is None for keyword in node.keywords) > 1:
            yield f"{where}: two **"
        elif isinstance(node, ast.Call) and any(isinstance(one, ast.Starred) for one in node.args[:-1]):
            yield f"{where}: * that is not last"
        elif isinstance(node, ast.List | ast.Tuple | ast.Set) and any(isinstance(one, ast.Starred) for one in node.elts):
            yield f"{where}: * in a display or a target"
        elif isinstance(node, ast.Dict) and None in node.keys:
            yield f"{where}: ** in a dictionary"
        elif isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "super" and not node.args:
            yield f"{where}: super()"


def test_nothing_in_it_is_too_new_for_jython() -> None:
    assert list(too_new(ast.parse(SOURCE))) == []
    assert SOURCE.isascii(), "without a coding line Python 2.7 reads ASCII only"


def test_no_token_is_too_new_for_jython() -> None:
    """What the tree of Python 3 does not show: underscores in numbers, a comma after ``*`` arguments, several ``with`` in brackets."""
    with AGENT.open("rb") as file:
        tokens = list(tokenize.tokenize(file.readline))
    assert [token.string for token in tokens if token.type == tokenize.NUMBER and "_" in token.string] == []
    assert re.findall(r"\*\w+,\s*\)", SOURCE) == []
    assert re.findall(r"^\s*with \(", SOURCE, re.MULTILINE) == []
    assert re.findall(r"\bprint(?!_function\b|\()", SOURCE) == []


@pytest.mark.parametrize(
    "newer",
    [
        "f'{1}'",
        "async def f(): pass",
        "def f(a: int): pass",
        "def f(*, a): pass",
        "raise A from B",
        "[*a]",
        "a, *b = c",
        "f(*a, b)",
        "(a := 1)",
        "{**a}",
        "super()",
    ],
)
def test_the_check_bites(newer: str) -> None:
    assert list(too_new(ast.parse(newer)))


def pythons() -> list[str]:
    """Older Pythons that happen to be on this computer."""
    named = [shutil.which(name) for name in ("python2.7", "jython")]
    found = [str(path) for path in sorted(Path.home().glob(".pyenv/versions/2.7*/bin/python2.7"))]
    return [sys.executable, *filter(works, dict.fromkeys(filter(None, [*named, *found])))]


def works(python: str) -> bool:
    return subprocess.run([python, "-c", "pass"], capture_output=True, check=False).returncode == 0


@pytest.mark.parametrize("python", pythons())
def test_every_python_here_compiles_it(python: str) -> None:
    script = f"compile(open({str(AGENT)!r}).read(), 'agent', 'exec')"
    done = subprocess.run([python, "-c", script], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")


def test_it_imports_what_python_brings_and_nothing_else() -> None:
    names = set()
    for node in ast.walk(ast.parse(SOURCE)):
        if isinstance(node, ast.Import):
            names |= {alias.name.partition(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            names.add((node.module or "").partition(".")[0])
    assert names <= STANDARD, names - STANDARD


def test_it_never_opens_a_dialog_nor_runs_text_of_others() -> None:
    called = {ast.unparse(node.func) for node in ast.walk(ast.parse(SOURCE)) if isinstance(node, ast.Call)}
    words = {name.rpartition(".")[2] for name in called}
    assert words.isdisjoint({"MSG", "CONFIRM", "SELECT", "INPUT_DIALOG", "eval", "exec", "execfile", "system", "popen", "Popen", "XCPR"})
    (scripts,) = (
        node for node in ast.walk(ast.parse(SOURCE)) if isinstance(node, ast.Call) and ast.unparse(node.func).endswith("EXEC_PYSCRIPT")
    )
    assert "'halt': 'halt', 'stop': 'stop'" in ast.unparse(scripts), "only two commands ever reach the interpreter as text"


@pytest.mark.real_data
@pytest.mark.parametrize("number", ["bruker_operando_7Li/1", "bruker_operando_7Li/3", "mas_7Li_paramagnetic_hahnecho_matpass/71"])
def test_it_verifies_real_audit_trails(agent: ModuleType, real_data: Path, number: str) -> None:
    assert agent.audit_verdict(str(real_data / number)) == ""


@pytest.mark.real_data
def test_it_reads_real_parameters_as_the_driver_does(agent: ModuleType, real_data: Path) -> None:
    from drivers.topspin.files import parse_parameters

    text = (real_data / "bruker_operando_7Li" / "1" / "acqus").read_text("latin-1")
    ours, theirs = parse_parameters(text), agent.parse_parameters(text)
    assert float(theirs["P 1"]) == ours["P"][1]
    assert float(theirs["D 6"]) == ours["D"][6]
    assert theirs["NUC1"] == ours["NUC1"] == "7Li"
    assert float(theirs["SW_h"]) == ours["SW_h"]


class Guest:
    """A connection that says no hello."""

    def __init__(self, since: float, role: str = "") -> None:
        self.since, self.role, self.open = since, role, True

    def close(self) -> None:
        self.open = False


def test_whoever_says_no_hello_is_shown_the_door(agent: ModuleType) -> None:
    now = agent.time.time()
    server = agent.Server.__new__(agent.Server)
    server.sessions = [Guest(now - 11), Guest(now - 1), Guest(now - 11, "observe")]
    server.show_the_door()
    assert [guest.open for guest in server.sessions] == [False, True, True]


def test_a_journal_with_a_torn_line_is_read_as_far_as_it_goes(agent: ModuleType, tmp_path: Path) -> None:
    journal = agent.Journal(str(tmp_path))
    journal.put("prepared", key="k1", block=0, target="/data/1")
    journal.put("started", key="k1", block=0, target="/data/1")
    with (tmp_path / "operando_agent.jsonl").open("a") as file:
        file.write('{"ev": "done", "key": "k1", "se')
    again = agent.Journal(str(tmp_path))
    assert (again.seq, again.known["k1", 0]["state"]) == (2, "started")
    heard: list[dict[str, object]] = []
    again.listen(heard.append, 1)
    again.put("done", key="k1", block=0, target="/data/1")
    assert [event["seq"] for event in heard] == [2, 3]
    assert agent.Journal(str(tmp_path)).known["k1", 0]["state"] == "done"
