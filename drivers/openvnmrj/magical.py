"""MAGICAL, VnmrJ's command language: text to a flat list of instructions, and the value of expressions. Pure.

Lexical rules from OpenVnmrJ's ``magic.lex.l``: strings in single quotes or back quotes, where a backslash makes b f n r t
control characters and leaves any other character as it is; longer than 499 characters a string counts as unclosed;
comments in double quotes, behind ``//`` and between ``/*`` and ``*/``; statements end at a space or a line end.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

Value = float | str
Expression = tuple[Any, ...]
STRING_LIMIT = 499
ESCAPES = {"b": "\b", "f": "\f", "n": "\n", "r": "\r", "t": "\t", "\n": " "}
KEYWORDS = frozenset(
    {"abort", "and", "break", "do", "else", "elseif", "endif", "endwhile", "if", "mod", "not", "or", "repeat", "return", "size", "sqrt",
     "then", "trunc", "typeof", "until", "while"}
)  # fmt: skip
FUNCTIONS = frozenset({"size", "sqrt", "trunc", "typeof"})
UNITS = {"k": 1e3, "K": 1e3, "M": 1e6, "m": 1e-3, "u": 1e-6, "n": 1e-9}


class MagicalError(Exception):
    """What VnmrJ writes on its error line; the rest of the command line is not executed."""


class Incomplete(MagicalError):
    """An ``if`` or loop that the next line may end."""


class Token(NamedTuple):
    """One word: kind (name, key, number, string, operator, end of line), text and its number."""

    kind: str
    text: str
    number: float = 0.0


_NUMBER = re.compile(r"(?:\d+(?:\.\d*)?|\.\d+)(?:[Ee][-+]?\d+)?")
_NAME = re.compile(r"[$A-Za-z_][$A-Za-z0-9_#]*")
_OPERATOR = re.compile(r"<>|<=|>=|[<>=+\-*/%(),:\[\]?{}]")
_PLAIN_STRING = re.compile(r"(['`])([^'`\\\x00-\x1f]{0,497})\1")
_COMMENT = re.compile(r'"[^"\n]*"|//[^\n]*|/\*.*?\*/', re.DOTALL)


def tokens(text: str) -> list[Token]:
    """The words of a text; raises MagicalError."""
    found: list[Token] = []
    place = 0
    while place < len(text):
        character = text[place]
        if character == "\n":
            found.append(Token("line", "\n"))
            place += 1
        elif character in " \t\r" or text.startswith("\\\n", place):
            place += 2 if character == "\\" else 1
        elif character in '"/' and (match := _COMMENT.match(text, place)):
            place = match.end()
        elif character in "'`":
            string, place = _string(text, place)
            found.append(Token("string", string))
        else:
            token, place = _word(text, place)
            found.append(token)
    return found


def _string(text: str, start: int) -> tuple[str, int]:
    if plain := _PLAIN_STRING.match(text, start):
        return plain[2], plain.end()
    quote, parts, place = text[start], [], start + 1
    while place < len(text) and text[place] != quote:
        character = text[place]
        if character == "\\":
            place += 1
            character = ESCAPES.get(text[place : place + 1], text[place : place + 1])
        elif character < " " and character not in "\t\n\r":
            raise MagicalError("unclosed string")
        parts.append(character)
        place += 1
    if place >= len(text) or len(parts) + 2 > STRING_LIMIT:
        raise MagicalError("unclosed string")
    return "".join(parts), place + 1


def _word(text: str, place: int) -> tuple[Token, int]:
    if match := _NUMBER.match(text, place):
        unit = _NAME.match(text, match.end())
        if unit is None:
            return Token("number", match[0], float(match[0])), match.end()
        if unit[0] not in UNITS:
            raise MagicalError(f"unknown unit '{unit[0]}'")
        return Token("number", match[0], float(match[0]) * UNITS[unit[0]]), unit.end()
    if match := _NAME.match(text, place):
        lower = match[0].lower()
        kind = "key" if lower in KEYWORDS and match[0] in {lower, lower.upper()} else "name"
        return Token(kind, lower if kind == "key" else match[0]), match.end()
    if match := _OPERATOR.match(text, place):
        return Token("operator", match[0]), match.end()
    raise MagicalError(f"syntax error at '{text[place : place + 10].strip()}'")


# ----------------------------------------------------------------------------------------------------------- compiling


class _Compiler:
    """Recursive descent over the tokens; statements become instructions."""

    def __init__(self, text: str) -> None:
        self.tokens = tokens(text)
        self.place = 0
        self.code: list[Expression] = []
        self.breaks: list[list[int]] = []

    def compile(self) -> list[Expression]:
        self._statements()
        if (token := self._peek()) is not None:
            raise MagicalError(f"syntax error at '{token.text}'")
        return self.code

    # tokens

    def _peek(self, ahead: int = 0) -> Token | None:
        place = self.place + ahead
        return self.tokens[place] if place < len(self.tokens) else None

    def _is(self, *texts: str, ahead: int = 0) -> bool:
        token = self._peek(ahead)
        return token is not None and token.kind in {"operator", "key"} and token.text in texts

    def _take(self) -> Token:
        self._skip_lines()
        token = self._peek()
        if token is None:
            raise Incomplete("command line ended too early")
        self.place += 1
        return token

    def _expect(self, text: str) -> None:
        token = self._take()
        if token.text != text or token.kind not in {"operator", "key"}:
            raise MagicalError(f"syntax error at '{token.text}', expected '{text}'")

    def _skip_lines(self) -> None:
        while (token := self._peek()) is not None and token.kind == "line":
            self.place += 1

    # statements

    def _statements(self, *ends: str) -> str:
        """Compile until one of the closing words, which is taken and returned."""
        while True:
            self._skip_lines()
            if self._peek() is None:
                if ends:
                    raise Incomplete(f"missing '{ends[-1]}'")
                return ""
            if ends and self._is(*ends):
                return self._take().text
            self._statement()

    def _statement(self) -> None:
        token = self._take()
        if token.kind == "name":
            self._name(token.text)
        elif token.text == "if":
            self._if()
        elif token.text == "while":
            self._while()
        elif token.text == "repeat":
            self._repeat()
        elif token.text in {"return", "abort"}:
            arguments = self._arguments() if self._is("(") else ()
            self.code.append((token.text, arguments))
        elif token.text == "break" and self.breaks:
            self.breaks[-1].append(self._jump())
        else:
            raise MagicalError(f"syntax error at '{token.text}'")

    def _name(self, name: str) -> None:
        index: Expression | None = None
        if self._is("["):
            self._take()
            index = self._expression()
            self._expect("]")
        if self._is("="):
            self._take()
            values = [self._expression()]
            while self._is(","):
                self._take()
                values.append(self._expression())
            self.code.append(("assign", name, index, tuple(values)))
        elif self._is("?"):
            self._take()
            self.code.append(("call", "display", (("string", name),), ()))
        elif index is not None:
            raise MagicalError(f"syntax error behind '{name}'")
        else:
            arguments = self._arguments() if self._is("(") else ()
            self.code.append(("call", name, arguments, self._returns()))

    def _arguments(self) -> tuple[Expression, ...]:
        self._expect("(")
        found: list[Expression] = []
        while not self._is(")"):
            found.append(self._expression())
            if not self._is(")"):
                self._expect(",")
        self._expect(")")
        return tuple(found)

    def _returns(self) -> tuple[str, ...]:
        if not self._is(":"):
            return ()
        self._take()
        found = [self._take().text]
        while self._is(","):
            self._take()
            found.append(self._take().text)
        return tuple(found)

    def _jump(self, target: int = -1) -> int:
        self.code.append(("jump", target))
        return len(self.code) - 1

    def _unless(self, test: Expression) -> int:
        self.code.append(("unless", test, -1))
        return len(self.code) - 1

    def _land(self, *places: int) -> None:
        for place in places:
            self.code[place] = (*self.code[place][:-1], len(self.code))

    def _if(self) -> None:
        leaves: list[int] = []
        ended = "elseif"
        while ended == "elseif":
            test = self._expression()
            self._expect("then")
            skip = self._unless(test)
            ended = self._statements("elseif", "else", "endif")
            if ended != "endif":
                leaves.append(self._jump())
            self._land(skip)
        if ended == "else":
            self._statements("endif")
        self._land(*leaves)

    def _while(self) -> None:
        start = len(self.code)
        test = self._expression()
        self._expect("do")
        self.breaks.append([self._unless(test)])
        self._statements("endwhile")
        self._jump(start)
        self._land(*self.breaks.pop())

    def _repeat(self) -> None:
        start = len(self.code)
        self.breaks.append([])
        self._statements("until")
        self.code.append(("unless", self._expression(), start))
        self._land(*self.breaks.pop())

    # expressions

    def _expression(self) -> Expression:
        if self._stands_alone():
            return self._factor()
        return self._chain(("or",), lambda: self._chain(("and",), self._negation))

    def _stands_alone(self) -> bool:
        """Nearly every argument is one word with no operator behind it."""
        first, second = self._peek(), self._peek(1)
        if first is None or first.kind not in {"number", "string", "name"}:
            return False
        return second is None or second.kind not in {"operator", "key"} or second.text in {",", ")"}

    def _chain(self, operators: tuple[str, ...], part: Callable[[], Expression]) -> Expression:
        left = part()
        while self._is(*operators):
            left = ("binary", self._take().text, left, part())
        return left

    def _negation(self) -> Expression:
        if self._is("not"):
            self._take()
            return ("unary", "not", self._negation())
        return self._chain(("=", "<>", "<", ">", "<=", ">="), self._sum)

    def _sum(self) -> Expression:
        return self._chain(("+", "-"), lambda: self._chain(("*", "/", "mod", "%"), self._factor))

    def _factor(self) -> Expression:
        token = self._take()
        if token.kind == "number":
            return ("number", token.number)
        if token.kind == "string":
            return ("string", token.text)
        if token.text in {"-", "+"}:
            return ("unary", token.text, self._factor())
        if token.text == "(":
            inner = self._expression()
            self._expect(")")
            return inner
        if token.kind == "key" and token.text in FUNCTIONS:
            return ("function", token.text, *self._arguments())
        if token.kind == "name":
            return self._variable(token.text)
        raise MagicalError(f"syntax error at '{token.text}'")

    def _variable(self, name: str) -> Expression:
        if not self._is("["):
            return ("name", name, None)
        self._take()
        index = self._expression()
        self._expect("]")
        return ("name", name, index)


def compile_magical(text: str) -> list[Expression]:
    """Instructions: assign, call, unless, jump, return, abort; raises MagicalError, or Incomplete when more lines may come."""
    return _Compiler(text).compile()


# ---------------------------------------------------------------------------------------------------------- evaluating

Lookup = Callable[[str], list[Any]]


def evaluate(expression: Expression, lookup: Lookup) -> Value:
    """Value of an expression; ``lookup`` gives all values of a name or raises MagicalError."""
    kind = expression[0]
    if kind in {"number", "string"}:
        return expression[1]  # type: ignore[no-any-return]
    if kind == "name":
        return _element(expression, lookup)
    if kind == "unary":
        return _unary(expression[1], evaluate(expression[2], lookup))
    if kind == "function":
        return _function(expression, lookup)
    return _binary(expression[1], evaluate(expression[2], lookup), evaluate(expression[3], lookup))


def _element(expression: Expression, lookup: Lookup) -> Value:
    _, name, index = expression
    values = lookup(name)
    place = 1 if index is None else int(number(evaluate(index, lookup)))
    if not 1 <= place <= len(values):
        raise MagicalError(f'"{name}[{place}]" doesn\'t exist')
    return values[place - 1]  # type: ignore[no-any-return]


def number(value: Value) -> float:
    """A number, or the error VnmrJ gives for a string."""
    if isinstance(value, str):
        raise MagicalError("type mismatch: number expected")
    return value


def truth(value: Value) -> bool:
    """Whether a condition holds (a string: not empty)."""
    return bool(value)


def _unary(operator: str, value: Value) -> Value:
    if operator == "not":
        return float(not truth(value))
    return -number(value) if operator == "-" else number(value)


def _function(expression: Expression, lookup: Lookup) -> Value:
    name, argument = expression[1], expression[2]
    if name == "size":
        named = argument[1] if argument[0] == "name" else evaluate(argument, lookup)
        return float(len(lookup(str(named))))
    value = evaluate(argument, lookup)
    if name == "typeof":
        values = lookup(value) if isinstance(value, str) and argument[0] == "string" else [value]
        return float(isinstance(values[0], str))
    if name == "sqrt" and number(value) < 0:
        raise MagicalError("square root of a negative number")
    return math.sqrt(number(value)) if name == "sqrt" else float(math.trunc(number(value)))


_COMPARE: Mapping[str, Callable[[Any, Any], bool]] = {
    "=": lambda a, b: a == b,
    "<>": lambda a, b: a != b,
    "<": lambda a, b: a < b,
    ">": lambda a, b: a > b,
    "<=": lambda a, b: a <= b,
    ">=": lambda a, b: a >= b,
}


def _binary(operator: str, left: Value, right: Value) -> Value:
    if operator in {"and", "or"}:
        return float(truth(left) and truth(right)) if operator == "and" else float(truth(left) or truth(right))
    if isinstance(left, str) != isinstance(right, str):
        raise MagicalError("type mismatch")
    if operator in _COMPARE:
        return float(_COMPARE[operator](left, right))
    if isinstance(left, str) or isinstance(right, str):
        if operator != "+":
            raise MagicalError("type mismatch")
        return f"{left}{right}"
    return _arithmetic(operator, left, right)


def _arithmetic(operator: str, left: float, right: float) -> float:
    if operator in {"/", "mod", "%"} and right == 0:
        raise MagicalError("division by zero")
    if operator == "+":
        return left + right
    if operator == "-":
        return left - right
    if operator == "*":
        return left * right
    return left / right if operator == "/" else math.fmod(math.trunc(left), math.trunc(right))


_CONVERSION = re.compile(r"%([-+ 0#]*\d*(?:\.\d+)?)([csfegdoxGE%])")


def formatted(template: str, arguments: list[Value]) -> str:
    """``write``'s printf: %c %s %f %e %g %d %o %x %%; missing arguments are an error."""
    rest = list(arguments)

    def convert(match: re.Match[str]) -> str:
        flags, kind = match.groups()
        if kind == "%":
            return "%"
        if not rest:
            raise MagicalError("not enough arguments for the template")
        value = rest.pop(0)
        if kind in "sc":
            return f"%{flags}s" % (value if isinstance(value, str) else shown(value))
        return f"%{flags}{kind}" % (int(number(value)) if kind in "dox" else number(value))

    return _CONVERSION.sub(convert, template)


def shown(value: Value) -> str:
    """A value as VnmrJ shows it: numbers with up to twelve digits."""
    return value if isinstance(value, str) else f"{value:.12g}"
