"""What MAGICAL's expressions are worth, and how it shows values. Pure."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Mapping
from typing import Any

from drivers.openvnmrj.magical.words import Expression, MagicalError, Value

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
