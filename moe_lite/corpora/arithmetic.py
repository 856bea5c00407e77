"""The math domain: twelve kinds of worked problem, generated."""

from collections.abc import Callable, Iterator

from moe_lite.corpora.text import Dice, Document

Problem = tuple[str, str]  # a question and its worked answer


def add(dice: Dice) -> Problem:
    a, b = dice.between(10, 999), dice.between(10, 999)
    return f"{a} + {b} = ?", f"{a} + {b} = {a + b}"


def subtract(dice: Dice) -> Problem:
    b, a = sorted((dice.between(10, 999), dice.between(10, 999)))
    return f"{a} - {b} = ?", f"{a} - {b} = {a - b}"


def multiply(dice: Dice) -> Problem:
    a, b = dice.between(12, 99), dice.between(12, 99)
    ones = b % 10
    tens = b - ones
    return f"{a} * {b} = ?", f"{a}*{b} = {a}*{tens} + {a}*{ones} = {a * tens} + {a * ones} = {a * b}"


def divide(dice: Dice) -> Problem:
    b, quotient, rest = dice.between(3, 19), dice.between(11, 99), dice.between(0, 2)
    a = b * quotient + rest
    answer = f"{a} = {b}*{quotient} + {rest}, so the quotient is {quotient} and the remainder is {rest}"
    return f"divide {a} by {b}", answer


def solve(dice: Dice) -> Problem:
    x, a, b = dice.between(-12, 20), dice.between(2, 15), dice.between(-40, 60)
    c = a * x + b
    there, back = ("+", "-") if b >= 0 else ("-", "+")
    answer = f"{a}x = {c} {back} {abs(b)} = {c - b}, so x = {c - b}/{a} = {x}"
    return f"solve {a}x {there} {abs(b)} = {c}", answer


def euclid(a: int, b: int) -> tuple[list[str], int]:
    """Each division of Euclid's algorithm, written out, and the greatest common divisor."""
    steps = []
    while b:
        steps.append(f"{a} = {a // b}*{b} + {a % b}")
        a, b = b, a % b
    return steps, a


def gcd(dice: Dice) -> Problem:
    a, b = dice.between(12, 400), dice.between(12, 400)
    steps, divisor = euclid(a, b)
    return f"gcd({a}, {b}) = ?", f"{'; '.join(steps)}; gcd = {divisor}"


def sequence(dice: Dice) -> Problem:
    start, step, length = dice.between(-20, 60), dice.between(-9, 15), dice.between(5, 7)
    terms = [start + step * i for i in range(length)]
    answer = f"the difference is {step}, so {terms[-1]} + {step} = {terms[-1] + step}"
    return f"next term: {', '.join(map(str, terms))}, ?", answer


def percent(dice: Dice) -> Problem:
    p, a = 5 * dice.between(1, 19), 20 * dice.between(2, 180)  # p·a is a multiple of 100: the answer is whole
    return f"{p}% of {a} = ?", f"{p}/100 * {a} = {p * a}/100 = {p * a // 100}"


def brackets(dice: Dice) -> Problem:
    a, b, c = dice.between(2, 30), dice.between(2, 30), dice.between(2, 12)
    return f"({a} + {b}) * {c} = ?", f"({a} + {b}) * {c} = {a + b} * {c} = {(a + b) * c}"


def term(number: int, letter: str = "") -> str:
    """` + 3x`, ` - 3x`, or nothing for zero."""
    return f" {'+' if number > 0 else '-'} {abs(number)}{letter}" if number else ""


def expand(dice: Dice) -> Problem:
    a = dice.between(1, 20) * dice.pick((1, -1))
    b = dice.between(1, 20) * dice.pick((1, -1))
    return f"expand (x{term(a)})(x{term(b)})", f"x^2{term(a + b, 'x')}{term(a * b)}"


def change_base(dice: Dice) -> Problem:
    number, base = dice.between(17, 2000), dice.pick((2, 3, 8, 16))
    digits, rest = "", number
    while rest:
        digits, rest = "0123456789abcdef"[rest % base] + digits, rest // base
    return f"write {number} in base {base}", f"{number} = ({digits})_{base}"


def add_fractions(dice: Dice) -> Problem:
    a, b, c, d = dice.between(1, 9), dice.between(2, 12), dice.between(1, 9), dice.between(2, 12)
    top, bottom = a * d + c * b, b * d
    divisor = euclid(top, bottom)[1]
    shortened = f" = {top // divisor}/{bottom // divisor}" if divisor > 1 else ""
    return f"{a}/{b} + {c}/{d} = ?", f"{a * d}/{bottom} + {c * b}/{bottom} = {top}/{bottom}{shortened}"


KINDS: tuple[Callable[[Dice], Problem], ...] = (
    add,
    subtract,
    multiply,
    divide,
    solve,
    gcd,
    sequence,
    percent,
    brackets,
    expand,
    change_base,
    add_fractions,
)


def arithmetic(n_documents: int = 1400, problems_each: int = 16, seed: int = 2024) -> Iterator[Document]:
    """Documents of worked problems; no question comes twice, so none in the held-out split was trained on."""
    dice, asked = Dice(seed), set()
    for number in range(n_documents):
        rows: list[str] = []
        while len(rows) < problems_each:
            question, answer = dice.pick(KINDS)(dice)
            if question not in asked:
                asked.add(question)
                rows.append(f"Q: {question}\nA: {answer}")
        yield Document(f"math/{number:05d}", "\n".join(rows))
