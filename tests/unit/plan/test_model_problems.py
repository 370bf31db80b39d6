"""Problems as people read them."""

from __future__ import annotations

from orchestrator.model.problems import Problem, ProblemsError, closing_line, did_you_mean, place, render
from orchestrator.model.values import Where

SOURCE = "version: 1\n\tscans: 130   # odd\n"
WHERE = Where(file="a.yaml", line=2, column=2, length=5)


def test_the_line_the_caret_and_the_hint() -> None:
    drawn = render(Problem(WHERE, "130 is odd", "use 128").in_source(SOURCE, "a.yaml"))
    assert drawn == "a.yaml:2:2: 130 is odd\n     |\n   2 | \tscans: 130   # odd\n     | \t^^^^^ use 128"


def test_a_line_of_another_file_is_not_shown() -> None:
    problem = Problem(WHERE, "130 is odd", "use 128")
    assert problem.in_source(SOURCE, "b.yaml") is problem
    assert problem.in_source("", "a.yaml") is problem
    assert render(problem) == "a.yaml:2:2: 130 is odd\n     | use 128"


def test_without_a_place() -> None:
    assert render(Problem(Where(), "no disk")) == "no disk"
    assert str(Problem(Where(), "no disk", "make room")) == "no disk (make room)"
    assert str(Problem(WHERE, "odd")) == "a.yaml:2:2: odd"
    assert place(Where(file="a.yaml")) == "a.yaml"


def test_suggestions() -> None:
    assert did_you_mean("curent", ["current", "voltage"]) == "did you mean `current`?"
    assert did_you_mean("xyz", ["b", "a"]) == "there are: a, b"
    assert did_you_mean("xyz", []) == ""


def test_the_last_line_counts_errors_only() -> None:
    error, warning = Problem(Where(), "a"), Problem(Where(), "b", level="warning")
    assert closing_line([error]) == "1 problem; nothing was started."
    assert closing_line([error, error, warning]) == "2 problems; nothing was started."
    assert str(ProblemsError([error])) == "a\n1 problem; nothing was started."
