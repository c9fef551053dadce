"""Faults in three parts, and suggestions."""

from __future__ import annotations

import pytest

from charter.errors import CharterError, Failure, Fault, InputError, Interrupted, nearest


@pytest.mark.parametrize(
    ("fault", "text"),
    [
        (Fault("f:1:2", "a.b", "is bad", "mend it"), "f:1:2  a.b: is bad; mend it"),
        (Fault("", "a.b", "is bad", "mend it"), "a.b: is bad; mend it"),
        (Fault("f", "", "is bad", ""), "f: is bad"),
        (Fault("", "", "is bad", "mend it"), "is bad; mend it"),
    ],
)
def test_a_fault_is_one_line(fault, text):
    assert str(fault) == text


def test_errors_carry_all_faults_and_a_code():
    faults = [Fault("f", "", "one", "x"), Fault("g", "", "two", "y")]
    error = InputError(iter(faults))
    assert error.faults == tuple(faults)
    assert str(error) == "f: one; x\ng: two; y"
    codes = [kind(faults[0]).exit_code for kind in (InputError, Failure, Interrupted, CharterError)]
    assert codes == [2, 1, 130, 1]


def test_suggestions():
    assert nearest("judgee", ["judge", "generator"]) == 'did you mean "judge"?'
    assert nearest("xyz", ["b", "a", "b"]) == "use one of: a, b"
    assert nearest("xyz", []) == "remove it"
