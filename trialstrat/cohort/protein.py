"""Protein changes in one spelling: ``p.Val600Glu``, ``V600E`` and ``p.V600E`` are one change.

References
----------
den Dunnen JT, et al. HGVS recommendations for the description of sequence variants: 2016 update. Hum Mutat
2016;37:564-569 (three-letter and one-letter amino acids, Ter and *, predicted changes in parentheses).
"""

from __future__ import annotations

import re

_LETTERS = {
    "Ala": "A", "Arg": "R", "Asn": "N", "Asp": "D", "Cys": "C", "Gln": "Q", "Glu": "E", "Gly": "G", "His": "H",
    "Ile": "I", "Leu": "L", "Lys": "K", "Met": "M", "Phe": "F", "Pro": "P", "Ser": "S", "Thr": "T", "Trp": "W",
    "Tyr": "Y", "Val": "V", "Sec": "U", "Ter": "*",
}  # fmt: skip
#: As HGVS writes them: in other cases the letters may be a sequence of one-letter amino acids.
_THREE = re.compile("|".join(_LETTERS))


def protein_change(text: str) -> str:
    """The change with one-letter amino acids and the prefix ``p.``; the transcript before a colon is left out.

    Examples
    --------
    >>> protein_change("NP_004324.2:p.(Val600Glu)"), protein_change("V600E"), protein_change("p.Arg213Ter")
    ('p.V600E', 'p.V600E', 'p.R213*')
    """
    bare = text.strip().rsplit(":", 1)[-1].removeprefix("p.").strip("()")
    if not bare:
        return ""
    short = _THREE.sub(lambda match: _LETTERS[match[0]], bare)
    if re.fullmatch(r"[A-Z]\d+X", short):
        short = f"{short[:-1]}*"
    return f"p.{re.sub(r'fs[*X]', 'fs*', short)}"
