"""MAGICAL's words as a flat list of instructions. Pure."""

from __future__ import annotations

from collections.abc import Callable

from drivers.openvnmrj.magical.words import FUNCTIONS, Expression, Incomplete, MagicalError, Token, tokens


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
