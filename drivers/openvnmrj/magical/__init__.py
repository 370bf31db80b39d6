"""MAGICAL, VnmrJ's command language: text to a flat list of instructions, and the value of expressions. Pure."""

from drivers.openvnmrj.magical.compiler import compile_magical
from drivers.openvnmrj.magical.values import Lookup, evaluate, formatted, number, shown, truth
from drivers.openvnmrj.magical.words import Expression, Incomplete, MagicalError, Token, Value, tokens

__all__ = [
    "Expression",
    "Incomplete",
    "Lookup",
    "MagicalError",
    "Token",
    "Value",
    "compile_magical",
    "evaluate",
    "formatted",
    "number",
    "shown",
    "tokens",
    "truth",
]
