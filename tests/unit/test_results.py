"""How a finding reads."""

from trialstrat.results import Finding


def finding(message: str) -> Finding:
    return Finding(code="E-X", severity="error", message=message, remedy="Mend it.", source="a.csv", column="age")


def test_a_finding_is_one_line_and_a_question_keeps_its_mark():
    assert finding("is text.").text() == "E-X a.csv: age: is text. Mend it."
    assert finding("did you mean ages?").text() == "E-X a.csv: age: did you mean ages? Mend it."
