"""The command language: words, quoting, flow, expressions, printf."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from drivers.openvnmrj.magical import Incomplete, MagicalError, compile_magical, evaluate, formatted, tokens


def run(text: str, names: dict[str, list[Any]] | None = None) -> dict[str, list[Any]]:
    """Execute assignments and flow, calls left out."""
    known: dict[str, list[Any]] = dict(names or {})

    def look(name: str) -> list[Any]:
        if name not in known:
            raise MagicalError(name)
        return known[name]

    code, place = compile_magical(text), 0
    while place < len(code):
        instruction = code[place]
        place += 1
        if instruction[0] == "assign":
            known[instruction[1]] = [evaluate(value, look) for value in instruction[3]]
        elif instruction[0] == "unless" and not evaluate(instruction[1], look):
            place = instruction[2]
        elif instruction[0] == "jump":
            place = instruction[1]
    return known


def test_golden_command_lines(repository: Path) -> None:
    rows = [line.split("\t") for line in (repository / "tests/golden/openvnmrj_emulator/commands.tsv").read_text().splitlines()[1:]]
    for line, expected in rows:
        code = compile_magical(line)
        found = [one[0] if one[0] in {"unless", "jump"} else f"{one[0]} {one[1]}" for one in code]
        assert ", ".join(found) == expected


def test_nested_quotes_unfold_one_level_at_a_time() -> None:
    outer = run(r"""wexp='svf(\'/a b/c\') write(\'net\',\'h\',\'1\',\'DONE %d\n\',ct)'""")["wexp"][0]
    assert outer == "svf('/a b/c') write('net','h','1','DONE %d\n',ct)"
    assert [one[1] for one in compile_magical(outer)] == ["svf", "write"]


def test_back_quotes_comments_continuation_and_case() -> None:
    text = "a=`it's` \"a 'comment'\" b=2 // c=3\nd=4 /* e=5\n */ f=6 \\\n g=7"
    assert run(text) == {"a": ["it's"], "b": [2], "d": [4], "f": [6], "g": [7]}
    assert run("a=0 IF 1 THEN a=1 ENDIF")["a"] == [1]


def test_arrays_and_returns() -> None:
    assert run("d2=1,2.5,-3e-1")["d2"] == [1, 2.5, -0.3]
    assert compile_magical("expactive:$a foo(1,'x'):$b,$c") == [
        ("call", "expactive", (), ("$a",)),
        ("call", "foo", (("number", 1.0), ("string", "x")), ("$b", "$c")),
    ]


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("x=2+3*4", 14), ("x=(2+3)*4", 20), ("x=7 mod 4", 3), ("x=1 or 0 and 0", 1), ("x=not 0", 1), ("x=trunc(7.9)", 7),
        ("x=sqrt(16)", 4), ("x='a'+'b'", "ab"), ("x='a'='a'", 1), ("x=3<>3", 0), ("x=2<=2", 1), ("x=-2-3", -5), ("y=1,2,3 x=size('y')", 3),
        ("y=4,5 x=y[2]", 5), ("x=typeof('z')", 1), ("x=10k", 10_000),
    ],
)  # fmt: skip
def test_expressions(text: str, value: Any) -> None:
    assert run(text, {"z": ["text"]})["x"] == [value]


def test_flow() -> None:
    text = "$i=0 $n=0 while $i<5 do $i=$i+1 if $i=2 then $n=$n+10 elseif $i=3 then $n=$n+100 else $n=$n+1 endif endwhile"
    assert run(text)["$n"] == [113]
    assert run("$i=0 repeat $i=$i+1 if $i=7 then break endif until $i>9")["$i"] == [7]
    assert run("a=0 if 0 then a=1 else if 1 then a=2 endif endif")["a"] == [2]


LONG = "x='" + "y" * 500 + "'"


@pytest.mark.parametrize("text", ["x='open", "x=`open'", LONG, "x=1 )", "x=#", "x=1/0", "x='a'*2", "x=1+'a'", "x=5q", "y[1]"])
def test_errors(text: str) -> None:
    with pytest.raises(MagicalError):
        run(text)


def test_an_open_block_waits_for_more_lines() -> None:
    with pytest.raises(Incomplete):
        compile_magical("if a=1 then\nb=2\n")
    with pytest.raises(Incomplete):
        compile_magical("a=")


def test_printf() -> None:
    assert formatted("%d %s %g|%5.2f|%x %% %e", [3.9, "a", 0.5, 3.14159, 255.0, 1.0]) == "3 a 0.5| 3.14|ff % 1.000000e+00"
    assert formatted("%s", [12.5]) == "12.5"
    with pytest.raises(MagicalError):
        formatted("%d", [])


def test_a_nul_inside_a_string_leaves_it_unclosed() -> None:
    with pytest.raises(MagicalError):
        tokens("x='a\0b'")
