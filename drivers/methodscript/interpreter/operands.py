"""Operands of commands: values, places to write to, texts, conditions, each as something that a running machine is asked. Pure."""

from __future__ import annotations

import operator as operators
import re
from collections.abc import Callable
from typing import TYPE_CHECKING

from drivers.methodscript.interpreter.language import Code, ScriptError, Variable, format_number, parse_number
from drivers.methodscript.interpreter.words import Token, Words, tokens

if TYPE_CHECKING:
    from drivers.methodscript.interpreter.machine import Machine

Getter = Callable[["Machine"], Variable]
Operand = Variable | str | Getter
"""A literal, the name of a variable, or what must be looked up anew each time."""
Test = Callable[["Machine"], bool]

NAME = re.compile(r"[a-z][a-z0-9_]*")


def _literal(number: Variable) -> Getter:
    return lambda _: number


def _scalar(name: str) -> Getter:
    return lambda machine: machine.variables[name]


def _getter(operand: Operand) -> Getter:
    if isinstance(operand, Variable):
        return _literal(operand)
    return _scalar(operand) if isinstance(operand, str) else operand


def _element(name: str, index: Getter) -> Getter:
    return lambda machine: machine.element(name, int(index(machine).number))


_COMPARE: dict[str, Callable[[float, float], bool]] = {
    "==": operators.eq,
    "!=": operators.ne,
    "<=": operators.le,
    ">=": operators.ge,
    "<": operators.lt,
    ">": operators.gt,
}


def _comparison(left: Operand, operator: str, right: Operand) -> Test:
    """A script compares at every sample, mostly a variable with a number: that one without a call for each side."""
    compare = _COMPARE[operator]
    if isinstance(left, str) and isinstance(right, Variable):
        number = right.number
        return lambda machine: compare(machine.variables[left].number, number)
    if isinstance(left, str) and isinstance(right, str):
        return lambda machine: compare(machine.variables[left].number, machine.variables[right].number)
    ours, theirs = _getter(left), _getter(right)
    return lambda machine: compare(ours(machine).number, theirs(machine).number)


def _joined(left: Test, operator: str, right: Test) -> Test:
    if operator == "&":
        return lambda machine: left(machine) and right(machine)
    return lambda machine: left(machine) or right(machine)


class Operands:
    """``names``: what has been declared so far, and whether it is a ``var`` or an ``array``."""

    def __init__(self) -> None:
        self.names: dict[str, str] = {}
        self.number = 0
        """The line that is read."""

    def _variable(self, token: Token, words: Words) -> str | Getter:
        name = token.text
        if not NAME.fullmatch(name):
            raise words.error(Code.BAD_LITERAL if name[:1].isdigit() or name[:1] in "+-" else Code.BAD_NAME, token)
        if name not in self.names:
            raise words.error(Code.UNDECLARED, token)
        if self.names[name] == "array":
            if not token.index:
                raise words.error(Code.IS_ARRAY, token)
            index = Words([Token(token.index, "word", token.column + len(name) + 1)], words.number, words.length)
            return _element(name, self._value(index))
        if token.index:
            raise words.error(Code.BAD_ARRAY_ACCESS, token)
        return name

    def _value(self, words: Words) -> Getter:
        return _getter(self._operand(words))

    def _operand(self, words: Words) -> Operand:
        token = words.take()
        if token.kind != "word":
            raise words.error(Code.UNEXPECTED_CHARACTER, token)
        number = parse_number(token.text)
        return number if number is not None else self._variable(token, words)

    def _destination(self, words: Words) -> Getter:
        token = words.take()
        if token.kind != "word":
            raise words.error(Code.UNEXPECTED_CHARACTER, token)
        if parse_number(token.text) is not None:
            raise words.error(Code.IS_LITERAL, token)
        return _getter(self._variable(token, words))

    def _string(self, words: Words) -> Callable[[Machine], str]:
        token = words.take()
        if token.kind != "string":
            raise words.error(Code.UNEXPECTED_CHARACTER, token)
        if not token.text.startswith("f"):
            text = token.text[1:-1]
            return lambda _: text
        return self._interpolated(token, words)

    def _interpolated(self, token: Token, words: Words) -> Callable[[Machine], str]:
        parts: list[str | Getter] = []
        rest, column = token.text[2:-1], token.column + 2
        while "{" in rest:
            before, _, after = rest.partition("{")
            inside, closed, behind = after.partition("}")
            if not closed:
                raise ScriptError(Code.OPEN_BRACE, self.number, column + len(before))
            inner = Words(tokens(inside, self.number, column + len(before) + 1), self.number, words.length)
            parts += [before, self._value(inner)]
            column += len(before) + len(inside) + 2
            rest = behind
        parts.append(rest)
        return lambda machine: "".join(part if isinstance(part, str) else format_number(part(machine)) for part in parts)

    def _condition(self, words: Words) -> Test:
        test = self._term(words)
        while (token := words.peek()) is not None and token.kind == "logic":
            words.take()
            test = _joined(test, token.text, self._term(words))
        return test

    def _term(self, words: Words) -> Test:
        token = words.peek()
        if token is not None and token.text == "(":
            words.take()
            test = self._condition(words)
            words.expect(")")
            return test
        left = self._operand(words)
        operator = words.take()
        if operator.kind != "compare":
            raise words.error(Code.UNEXPECTED_CHARACTER, operator)
        return _comparison(left, operator.text, self._operand(words))
