"""How two arrays differ, in words and numbers."""

import pytest
import torch

from moe_lite.checks.engine.compare import (
    close,
    decimals_that_differ,
    differing,
    first_difference,
    listed,
    number,
    relation,
)  # fmt: skip

A = torch.tensor([[0.1, 0.2, 0.7], [0.5, 0.3, 0.2]], dtype=torch.float64)


@pytest.mark.parametrize(
    "value, decimals, text",
    [
        (0.5, 2, "0.50"), (-1.5, 2, "−1.50"), (0, 2, "0"), (0.0, 2, "0"), (3, 2, "3"), (-3, 2, "−3"),
        (0.004, 2, "0.004"), (0.006, 2, "0.01"), (0.00123, 2, "0.0012"), (2.5e6, 2, "2.50e+06"),
        (float("nan"), 2, "nan"), (float("inf"), 2, "inf"), (float("-inf"), 2, "−inf"), (True, 2, "1"),
    ],
)  # fmt: skip
def test_numbers_are_written_for_readers(value, decimals, text):
    assert number(value, decimals) == text


def test_lists_are_cut_after_three():
    assert listed([0.5]) == "0.50"
    assert listed([0.5, 0.25]) == "0.50 and 0.25"
    assert listed([0.73, 0.73, 0.66]) == "0.73, 0.73 and 0.66"
    assert listed([1, 2, 3, 4]) == "1, 2, 3, …"


def test_decimals_grow_until_the_numbers_differ():
    assert decimals_that_differ([(0.5, 0.6)]) == 2
    assert decimals_that_differ([(0.5, 0.6), (0.1231, 0.1232)]) == 4
    assert decimals_that_differ([(float("nan"), 1.0)]) == 2


def test_close_allows_rounding_and_never_nan_or_another_shape():
    assert close(A.float(), A)
    assert close(A + 1e-9, A)
    assert not close(A + 1e-5, A)
    assert not close(A * float("nan"), A * float("nan"))
    assert not close(A, A[:, :2]) and not close(A[0], A)
    assert close(torch.tensor([1.0]), torch.tensor([1])) and not close(torch.tensor([1.1]), torch.tensor([1]))


@pytest.mark.parametrize("odd", [0.0, 1e300, float("inf"), float("-inf"), float("nan")])
@pytest.mark.parametrize("within", [None, 0.0, 0.3, float("inf")])
def test_what_differs_is_what_isclose_finds(odd, within):
    """Which also says what an infinity and a nan are equal to, on either side."""
    a = torch.tensor([0.1, odd, 1.0, odd, 3.0], dtype=torch.float64)
    b = torch.tensor([0.1, odd, odd, 1.0, 3.0 + 1e-5], dtype=torch.float64)
    for got, expected in ((a, b), (b, a), (a[:1], b[:1]), (a.float(), b), (a[:0], b[:0])):
        largest = expected[expected.isfinite()].abs().max() if expected.numel() else 0.0
        rounding = (
            {"rtol": 1e-6, "atol": 1e-9 + 1e-8 * float(largest)} if within is None else {"rtol": 0, "atol": within}
        )
        assert torch.equal(differing(got, expected, within), ~torch.isclose(got.double(), expected, **rounding))


def test_the_first_difference_is_found_row_by_row():
    other = A.clone()
    other[1, 0] = other[0, 2] = 9.0
    assert first_difference(other, A) == (0, 2)


@pytest.mark.parametrize(
    "got, words",
    [
        (A * 0.5, "0.50 times the expected one"),
        (A + 3, "the expected one + 3"),
        (A * 1.001, "All are close"),
        (A.T, "rows and columns have changed places"),
        (A.flip(1), "each row runs backwards"),
        (A.flip(0), "rows are right, but stand in another order"),
        (A[:, [1, 0, 2]], "columns are right, but stand in another order"),
        (torch.tensor([[0.2, 0.1, 0.7], [0.5, 0.2, 0.3]], dtype=torch.float64), "Each row has the right values"),
    ],
)
def test_a_simple_relation_is_said(got, words):
    assert words in relation(got, A)


def test_no_relation_is_made_up():
    assert relation(A + torch.eye(2, 3), A) == ""
    assert relation(A[:1], A) == ""
    assert relation(torch.zeros_like(A), A) == ""
    assert relation(A * float("nan"), A) == ""


def test_a_tolerance_takes_the_place_of_rounding():
    assert close(A + 0.04, A, within=0.05) and not close(A + 0.06, A, within=0.05)
    assert close(A + 1e6, A, within=float("inf")) and not close(A * float("nan"), A, within=float("inf"))
    assert first_difference(A + torch.tensor([[0.0, 0.04, 0.09]]), A, 0.05) == (0, 2)


def test_one_number_has_no_relation_to_another():
    """Any number is some factor times any other."""
    assert relation(torch.tensor(3.0), torch.tensor(1.0)) == ""


def test_whole_numbers_have_commas():
    assert number(1234567) == "1,234,567" and number(-1234) == "−1,234"
