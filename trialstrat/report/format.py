"""Numbers as a reader sees them. Everything stored is raw; every rounding of the project happens here."""

from __future__ import annotations

import math
from collections.abc import Callable

#: What stands where there is no number; the reason goes beside it.
DASH = "–"
MINUS = "−"
#: A space at which no line ends.
NARROW = "\u00a0"
NOT_PROVIDED = "not provided"


def _missing(value: float | None) -> bool:
    return value is None or not math.isfinite(value)


def _places(value: float) -> int:
    """Decimals of an effect: two, or two significant digits below 0.1; fewer above ten."""
    size = abs(value)
    if size == 0:
        return 2
    if size < 0.0995:
        return 1 - math.floor(math.log10(size))
    return 2 if size < 9.995 else 1 if size < 99.95 else 0


def _signed(text: str) -> str:
    """A true minus sign, and no minus before a zero."""
    if text.startswith("-"):
        return MINUS + text[1:] if text.strip("-0.,%") else text[1:]
    return text


def count(value: float | None) -> str:
    """Whole number with thousands separated: ``1,234``."""
    return DASH if _missing(value) else _signed(f"{round(value):,}")  # type: ignore[arg-type]


#: An interval narrower than this is that of a small step: two decimals would not show it.
SMALL_STEP = 0.1


def ratio_places(value: float, width: float = 0.0) -> int:
    """Decimals of a ratio with an interval of this width: two, more where both say nothing with two (close to 1)."""
    away = abs(value - 1)
    if 0 < away < 0.05 and width < SMALL_STEP:
        return min(6, 1 - math.floor(math.log10(away)))
    return 2 if value >= 0.1 else _places(value)


def effect(value: float | None) -> str:
    """An effect with two decimals, or two significant digits below 0.1: ``0.69``, ``12.3``, ``0.061``."""
    if value is None or _missing(value):
        return DASH
    size = abs(value)
    if size and (size >= 1e5 or size < 1e-4):
        mantissa, exponent = f"{value:.1e}".split("e")
        return _signed(f"{mantissa}e{int(exponent)}")
    return _signed(f"{value:,.{_places(value)}f}")


def number(value: float | None, decimals: int = 1) -> str:
    """A measurement: whole numbers stay whole, others get ``decimals`` decimals."""
    if value is None or _missing(value):
        return DASH
    return _signed(f"{value:,.0f}" if float(value).is_integer() else f"{value:,.{decimals}f}")


def fixed(value: float | None, decimals: int) -> str:
    """Always the same number of decimals, for a column whose digits must align."""
    return DASH if value is None or _missing(value) else _signed(f"{value:,.{decimals}f}")


def percent(value: float | None, decimals: int = 1) -> str:
    """A proportion (0-1) in percent: ``43.6%``."""
    return DASH if value is None or _missing(value) else _signed(f"{100 * value:.{decimals}f}%")


def per_hundred(value: float | None) -> str:
    """A proportion as whole patients of 100: ``44``."""
    return DASH if value is None or _missing(value) else _signed(f"{100 * value:.0f}")


def p_value(value: float | None) -> str:
    """A p-value: ``0.012``, ``0.34``, ``< 0.001``, ``> 0.99`` (with spaces that do not break)."""
    if value is None or _missing(value):
        return DASH
    if value < 0.001:
        return f"<{NARROW}0.001"
    if value > 0.99:
        return f">{NARROW}0.99"
    return f"{value:.3f}" if value < 0.0995 else f"{value:.2f}"


def interval(value: float | None, lower: float | None, upper: float | None, how: Callable[[float], str]) -> str:
    """A value with its interval, all formatted alike: ``0.61 (0.47 to 0.80)``; without bounds the value alone.

    The bounds of an effect get the decimals of its value, unless that would write a small bound as zero.
    """
    if value is None or _missing(value):
        return DASH
    if _missing(lower) and _missing(upper):
        return how(value)
    ends = like_effect(value) if how is effect else how
    return f"{how(value)} ({bound(lower, ends)} to {bound(upper, ends)})"


def like_effect(value: float) -> Callable[[float], str]:
    """How the bounds of an effect are written: with the decimals of the effect, unless a bound would vanish."""
    places = _places(value)

    def how(end: float) -> str:
        vanishes = end != 0 and abs(end) < 0.5 * 10**-places
        if vanishes:
            return fixed(end, -math.floor(math.log10(abs(end)))) if abs(end) >= 1e-4 else effect(end)
        return effect(end) if abs(end) >= 1e5 or not 1e-4 <= abs(value) < 1e5 else fixed(end, places)

    return how


def bound(value: float | None, how: Callable[[float], str]) -> str:
    """One end of an interval; an end that the data do not reach is said in words."""
    return "not reached" if value is None or _missing(value) else how(value)


def marked(text: str) -> str:
    """A mark that stands in place of a number: ``<11`` becomes ``< 11``."""
    return f"<{NARROW}{text[1:].strip()}" if text.startswith("<") else text


def suppressed(minimum: int) -> str:
    """What stands for a cell below the declared minimum."""
    return f"<{NARROW}{minimum}"


def share(part: float | None, whole: float | None) -> str:
    """A count with its percent of a whole: ``94 (38.2%)``."""
    if part is None or whole is None or _missing(part) or not whole:
        return DASH
    return f"{count(part)} ({percent(part / whole)})"


def horizon(value: float | str | None, unit: str) -> str:
    """A time in words: ``24 months``, ``1 year``."""
    if value is None or value == "":
        return "the horizon"
    quantity = float(value)
    if abs(quantity - round(quantity)) < 0.05:  # 1825 days are 59.96 months: people say 60
        quantity = float(round(quantity))
    word = unit[:-1] if quantity == 1 and unit.endswith("s") else unit
    return f"{number(quantity)} {word}".strip()


def listing(items: list[str], word: str = "and") -> str:
    """``a``, ``a and b``, ``a, b and c``."""
    if len(items) < 2:
        return "".join(items)
    return f"{', '.join(items[:-1])} {word} {items[-1]}"


def article(noun: str) -> str:
    """``a hazard ratio``, ``an odds ratio``."""
    return f"{'an' if noun[:1].lower() in 'aeiou' else 'a'} {noun}"


def sentence(text: str) -> str:
    """First letter upper case, exactly one full stop at the end."""
    text = text.strip()
    if not text:
        return ""
    text = text[0].upper() + text[1:]
    return text if text[-1] in ".!?" else f"{text}."


def lower_first(text: str) -> str:
    """A label inside a sentence: first letter lower case unless the word is an abbreviation or a name in capitals."""
    word = text.split(" ", 1)[0]
    return text if len(word) > 1 and any(letter.isupper() for letter in word[1:]) else text[:1].lower() + text[1:]
