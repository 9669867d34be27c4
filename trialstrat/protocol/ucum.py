"""Conversion between the UCUM units of clinical laboratories.

A unit is a factor times a product of kinds (mass, amount, volume ...); two units convert when their kinds agree, and
mass to amount of substance only where the analyte's molar mass is known.

References
----------
Schadow G, McDonald CJ. The Unified Code for Units of Measure, version 2.1 (2017): unit atoms and prefixes.
"""

from __future__ import annotations

import math
from typing import Final

from trialstrat.errors import InvalidInputError

#: Factor to the kind's base unit (g, mol, L, s, m, U, 1), and the kind. A few whole units have names of their own.
_ATOMS: Final[dict[str, tuple[float, str]]] = {
    "g": (1.0, "mass"),
    "mol": (1.0, "amount"),
    "L": (1.0, "volume"),
    "l": (1.0, "volume"),
    "m": (1.0, "length"),
    "s": (1.0, "time"),
    "U": (1.0, "activity"),
    "kat": (6e7, "activity"),
    "[IU]": (1.0, "biological"),
    "[iU]": (1.0, "biological"),
    "Pa": (1.0, "pressure"),
}
_PREFIXES: Final[dict[str, float]] = {
    "k": 1e3, "d": 1e-1, "c": 1e-2, "m": 1e-3, "u": 1e-6, "µ": 1e-6, "n": 1e-9, "p": 1e-12, "f": 1e-15,
}  # fmt: skip
_WHOLE: Final[dict[str, tuple[float, str]]] = {
    "1": (1.0, "number"),
    "%": (0.01, "number"),
    "min": (60.0, "time"),
    "h": (3600.0, "time"),
    "d": (86400.0, "time"),
    "wk": (604800.0, "time"),
    "mo": (30.4375 * 86400.0, "time"),
    "a": (365.25 * 86400.0, "time"),
    "minute": (60.0, "time"),
    "day": (86400.0, "time"),
    "week": (604800.0, "time"),
    "month": (30.4375 * 86400.0, "time"),
    "year": (365.25 * 86400.0, "time"),
    "mm[Hg]": (133.322387415, "pressure"),
    "[in_i]": (0.0254, "length"),
    "[lb_av]": (453.59237, "mass"),
}
#: Words that protocols use for UCUM's d, wk, mo, a; in the plural too.
_WORDS: Final = frozenset(("minute", "day", "week", "month", "year"))
#: Molar mass in g/mol; hemoglobin as the monomer (Fe), as laboratories report mmol/L.
MOLAR_MASS: Final[dict[str, float]] = {
    "glucose": 180.156, "creatinine": 113.12, "bilirubin": 584.66, "cholesterol": 386.65, "triglycerides": 885.4,
    "urea": 60.06, "urate": 168.11, "calcium": 40.078, "magnesium": 24.305, "phosphate": 30.974, "iron": 55.845,
    "sodium": 22.99, "potassium": 39.098, "hemoglobin": 16114.5, "testosterone": 288.42, "cortisol": 362.46,
    "vitamin d": 400.64,
}  # fmt: skip


def convert(value: float, source: str, target: str, analyte: str = "") -> float:
    """A value in another unit.

    Parameters
    ----------
    value : float
        A number in ``source`` units; nan stays nan. The answer has fifteen significant digits.
    source, target : str
        UCUM codes, as ``mg/dL`` or ``10*9/L``; annotations in braces count as the number 1.
    analyte : str
        What is measured, for mass against amount of substance.

    Raises
    ------
    InvalidInputError
        A unit that is not known, or two that do not measure the same.

    Examples
    --------
    >>> round(convert(1.0, "mg/dL", "umol/L", "creatinine"), 1)
    88.4
    >>> convert(100.0, "10*3/uL", "10*9/L")
    100.0
    """
    if source == target:
        return value
    (factor, kinds), (divisor, wanted) = _parse(source), _parse(target)
    if kinds != wanted:
        factor *= _molar(kinds, wanted, source, target, analyte)
    # fifteen digits: products of powers of ten carry rounding in the last one, which would move a threshold
    return float(f"{value * float(f'{factor / divisor:.15g}'):.15g}")


def known(unit: str) -> bool:
    """Whether a unit is one that can be converted."""
    try:
        _parse(unit)
    except InvalidInputError:
        return False
    return True


def _molar(kinds: tuple[str, str], wanted: tuple[str, str], source: str, target: str, analyte: str) -> float:
    mass = MOLAR_MASS.get(analyte.strip().lower(), math.nan)
    sides = (kinds[0], wanted[0])
    if kinds[1] == wanted[1] and sides in (("mass", "amount"), ("amount", "mass")):
        if math.isnan(mass):
            raise InvalidInputError(
                f"unit {source} to {target} needs the molar mass of the analyte {analyte or '(none named)'!r}; "
                f"known are {', '.join(sorted(MOLAR_MASS))}"
            )
        return 1 / mass if sides[0] == "mass" else mass
    raise InvalidInputError(f"unit {source} cannot be converted to {target}: they measure different things")


def _parse(unit: str) -> tuple[float, tuple[str, str]]:
    """Factor and kinds above and below the fraction line; ``number`` is no kind of its own."""
    above, *below = _split(unit)
    factor, kind = _product(above, unit)
    if not below:
        return factor, (kind, "")
    if len(below) > 1:
        raise InvalidInputError(f"unit {unit!r} has more than one fraction line")
    divisor, other = _product(below[0], unit)
    if kind == other:
        return factor / divisor, ("", "")
    return factor / divisor, (kind, other)


def _split(unit: str) -> list[str]:
    """Parts between fraction lines; those inside braces are annotations."""
    out, depth = [""], 0
    for sign in unit.strip():
        depth += (sign == "{") - (sign == "}")
        if sign == "/" and depth == 0:
            out.append("")
        else:
            out[-1] += sign
    return out


def _product(text: str, unit: str) -> tuple[float, str]:
    factor, kinds = 1.0, []
    for part in text.split("."):
        size, kind = _atom(part, unit)
        factor *= size
        if kind != "number":
            kinds.append(kind)
    return factor, ".".join(sorted(kinds))


def _atom(text: str, unit: str) -> tuple[float, str]:
    bare = text.split("{", 1)[0] if text.endswith("}") else text
    if not bare:
        return 1.0, "number"
    if bare in _WHOLE:
        return _WHOLE[bare]
    if bare.endswith("s") and bare[:-1] in _WORDS:
        return _WHOLE[bare[:-1]]
    if bare.startswith(("10*", "10^")) and bare[3:].isdigit() and len(bare) <= 5:
        return 10.0 ** int(bare[3:]), "number"
    if bare in _ATOMS:
        return _ATOMS[bare]
    if bare[0] in _PREFIXES and bare[1:] in _ATOMS:
        size, kind = _ATOMS[bare[1:]]
        return _PREFIXES[bare[0]] * size, kind
    if bare[-1] == "2" and bare[:-1] in ("m", "cm"):
        return (1.0 if bare == "m2" else 1e-4), "area"
    raise InvalidInputError(f"unit {unit!r} is not known; use UCUM codes, as mg/dL, 10*9/L or mm[Hg]")
