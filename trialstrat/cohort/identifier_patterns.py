"""What direct identifiers look like: names of columns, forms of cells, and how many cells must have the form."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import date

#: Longer cells are no identifier by themselves: prose, sequences.
LONGEST = 200
_NEVER = re.compile(r"(?!)")


@dataclass(frozen=True, slots=True, kw_only=True)
class Cells:
    """Distinct cells of a column (all or an even sample), distinct per known cell, and the number of known cells."""

    texts: tuple[str, ...]
    distinct_share: float
    known: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Form:
    """A kind of identifier: ``cell`` is what one cell looks like, ``share`` how many of the cells must.

    ``distinct`` is the least share of distinct among known cells: what many patients share identifies none.
    ``code_like`` kinds are codes that a study id may look like. ``name`` recognises the column by its words (blank
    at both ends); ``unless`` are words in the name that speak against a form found by content.
    """

    kind: str
    cell: re.Pattern[str]
    share: float = 0.5
    distinct: float = 0.0
    fewest: int = 1
    code_like: bool = False
    name: re.Pattern[str] = _NEVER
    unless: re.Pattern[str] = field(default=_NEVER)

    def matches(self, text: str) -> bool:
        """Whether a cell has the form."""
        return len(text) <= LONGEST and bool(self.cell.fullmatch(text))

    def fits(self, cells: Cells) -> bool:
        """Whether enough cells have the form."""
        if len(cells.texts) < self.fewest or cells.distinct_share < self.distinct:
            return False
        return sum(map(self.matches, cells.texts)) >= self.share * len(cells.texts)


@dataclass(frozen=True, slots=True, kw_only=True)
class BirthDates(Form):
    """Full dates over more than forty years: no trial enrols so long, patients are born so far apart."""

    years: float = 40.0

    def fits(self, cells: Cells) -> bool:
        """Whether nearly all cells are dates, and spread as births are."""
        found = [day for day in map(_day, cells.texts) if day is not None]
        if len(found) < max(self.fewest, self.share * len(cells.texts)):
            return False
        return (max(found) - min(found)).days > self.years * 365.25


def _words(pattern: str) -> re.Pattern[str]:
    return re.compile(rf" (?:{pattern}) ")


_ISO = re.compile(r"(1[89]\d\d|20\d\d)-(0[1-9]|1[0-2])-(0[1-9]|[12]\d|3[01])(?:[T ].*)?")
_DATE = re.compile(
    r"(?:(?:1[89]|20)\d\d[-/.](?:0?[1-9]|1[0-2])[-/.](?:0?[1-9]|[12]\d|3[01])(?:[T ].*)?"
    r"|(?:0?[1-9]|[12]\d|3[01])[-/. ](?:0?[1-9]|1[0-2]|[A-Za-z]{3})[-/. ](?:(?:1[89]|20)\d\d|\d\d)"
    r"|(?:0?[1-9]|1[0-2])/(?:0?[1-9]|[12]\d|3[01])/(?:(?:1[89]|20)\d\d|\d\d)"
    r"|(?:0[1-9]|[12]\d|3[01])[A-Z]{3}(?:1[89]|20)\d\d|(?:19|20)\d\d(?:0[1-9]|1[0-2])(?:0[1-9]|[12]\d|3[01]))"
)
#: Days since 1960 as SAS keeps dates; years of birth (1900 to 2030) are no full dates.
_DAYS = re.compile(r"-?(?!(?:19\d\d|20[0-2]\d)(?:\.0*)?$)\d{3,5}(?:\.0*)?")
_LETTERS = re.compile(r"[^\W\d_][^\d_]*")
_PHONE_LIKE = re.compile(r"(?=(?:\D*\d){7,15}\D*$)[+(]?[\d\s().\-/+]+(?:\s*(?:x|ext\.?)\s*\d+)?")
_PHONE = re.compile(
    r"(?:\+?1[ .-]?)?(?:\([2-9]\d\d\) ?|[2-9]\d\d[ .-])[2-9]\d\d[ .-]\d{4}(?:\s*(?:x|ext\.?)\s*\d+)?"
    r"|\+[1-9]\d{0,2}(?:[ .\-()]*\d){7,13}"
)
_CODE = re.compile(r"(?=.*\d)[A-Za-z0-9][A-Za-z0-9 ./-]{3,}")
_LONG_CODE = re.compile(r"(?=.*\d)(?:(?=.*[A-Za-z])[A-Za-z0-9][A-Za-z0-9 ./-]{4,}|\d[\d -]{6,})")
_SSN = re.compile(r"(?!000|666|9\d\d)\d{3}-(?!00)\d{2}-(?!0000)\d{4}")
SSN_INSIDE = re.compile(rf"(?<![\w-])(?:{_SSN.pattern})(?![\w-])")
_NATIONAL = re.compile(r"(?!\d*\.\d+$)(?=(?:\D*\d){6,}\D*$)[A-Za-z0-9][A-Za-z0-9 .-]{5,}")
_ZIP = re.compile(
    r"\d{5}(?:-\d{4})?(?:\.0)?|[A-Za-z]{1,2}\d[A-Za-z\d]? ?\d[A-Za-z]{2}|[A-Za-z]\d[A-Za-z] ?\d[A-Za-z]\d"
)
_URL = re.compile(r"(?:https?://|www\.)\S+\.\S+", re.IGNORECASE)
_IP = re.compile(
    r"(?:(?:25[0-5]|2[0-4]\d|1?\d?\d)\.){3}(?:25[0-5]|2[0-4]\d|1?\d?\d)|(?:[0-9a-fA-F]{1,4}:){7}[0-9a-fA-F]{1,4}"
)
_MAC = re.compile(r"(?:[0-9A-Fa-f]{2}[:-]){5}[0-9A-Fa-f]{2}")
_VIN = re.compile(r"(?=.*\d)(?=.*[A-Z])[A-HJ-NPR-Z0-9]{17}")
_PLATE = re.compile(r"(?=.*\d)(?=.*[A-Za-z])[A-Za-z0-9]{1,4}[ -]?[A-Za-z0-9]{1,4}(?:[ -]?[A-Za-z0-9]{1,4})?")
_IMAGE = re.compile(r"\S.*\.(?:jpe?g|heic|png|gif|bmp|tiff?|webp|dcm)", re.IGNORECASE)
_PHOTO = re.compile(r"\S.*\.(?:jpe?g|heic)", re.IGNORECASE)
_TEMPLATE = re.compile(r"[A-Za-z0-9+/=_-]{16,}|\S.*\.\w{2,5}")
_ADDRESS = re.compile(r"(?=.*\d)(?=.*[^\W\d_]{3}).{6,}")
_STREET = re.compile(
    r"\d{1,5}[A-Za-z]?\s+\S.*\b(?:street|st|avenue|ave|road|rd|lane|ln|drive|boulevard|blvd|court|terrace|crescent)\b.*"
    r"|[^\W\d_][\w .-]*(?:straße|strasse|str\.|weg|gasse)\s*\d+.*",
    re.IGNORECASE,
)
_COMMA_NAME = re.compile(r"[A-Z][a-zà-ÿ'’-]+(?: [A-Z][a-zà-ÿ'’-]+)?, [A-Z][a-zà-ÿ'’-]+(?: [A-Z]\.?[a-zà-ÿ'’-]*)?")
_GIVEN = (
    "James|John|Robert|Michael|William|David|Richard|Joseph|Thomas|Charles|Daniel|Matthew|Anthony|Mark|Paul|Steven|"
    "Andrew|Kenneth|George|Joshua|Kevin|Brian|Edward|Peter|Frank|Henry|Jack|Walter|Hans|Klaus|Pierre|Jean|Carlos|José|"
    "Juan|Luis|Mohammed|Mohamed|Ahmed|Ali|Wei|Mary|Patricia|Jennifer|Linda|Elizabeth|Barbara|Susan|Jessica|Sarah|Karen|"
    "Nancy|Lisa|Margaret|Sandra|Ashley|Emily|Donna|Michelle|Carol|Amanda|Anna|Maria|Ruth|Helen|Laura|Julia|Emma|Olivia|"
    "Sophie|Marie|Ursula|Carmen|Fatima|Aisha|Priya|Jane|Alice|Anne|Christine|Petra|Monika|Eva"
)
_PERSON = re.compile(rf"(?:(?:Mr|Mrs|Ms|Dr|Herr|Frau)\.? )?(?:{_GIVEN})(?: [A-Z]\.?)?(?: [A-Z][\w'’-]+){{1,2}}")
_INITIALS = re.compile(r"[A-Z](?:[.-]?[A-Z-]){1,3}\.?")

#: Recognised by the column's name and the form of its cells.
NAME_RULES = (
    Form(
        kind="names of persons",
        name=_words(
            r"(?:first|last|given|family|middle|maiden|full|patients?|subjects?|participants?|mothers?|fathers?)(?: s)?"
            r" (?:maiden )?names?|surname|forename|lastname|firstname|fullname|patientname"
            r"|name (?:first|last|given|family)"
        ),
        cell=_LETTERS,
        share=0.8,
        distinct=0.1,
    ),
    Form(
        kind="patients' initials",
        name=_words(r"(?:patients?|subjects?|participants?)? ?(?:s )?initials?|patinit|subjinit"),
        cell=_INITIALS,
        share=0.8,
        distinct=0.05,
    ),
    Form(
        kind="dates of birth",
        name=_words(r"d ?o ?b|dob|birth ?(?:date|day|dt)|date of birth|brthdtc?|brthdt|geburtsdatum|date naissance"),
        unless=_words("hla"),  # HLA-DOB is a gene
        cell=re.compile(f"(?:{_DATE.pattern})|(?:{_DAYS.pattern})"),
    ),
    Form(
        kind="telephone or fax numbers",
        name=_words(r".*(?:phone|telephone|tel|fax|pager|cellphone|telefon)(?: (?:no|nr|num|number|home|work|mobile))?|"
                    r"mobile(?: (?:no|nr|num|number))?|contact number"),
        cell=_PHONE_LIKE,
    ),
    Form(
        kind="social security or national numbers",
        name=_words(
            r"ssn|social security(?: (?:no|nr|num|number))?|social insurance number|nino"
            r"|national (?:insurance|id)(?: (?:no|number))?"
            r"|nhs(?: (?:no|number))?|passport(?: (?:no|number))?|tax id|personnummer|cpr(?: (?:no|nr|number))?|bsn"
            r"|aadhaar(?: number)?"
        ),
        cell=_NATIONAL,
        distinct=0.5,
    ),
    Form(
        kind="medical record numbers",
        name=_words(r"mrn|(?:medical|health|patient|hospital) ?records?(?: (?:no|nr|num|number|id))?|"
                    r"hospital (?:no|nr|number|id)|chart (?:no|nr|number)|case note number"),
        cell=_CODE,
        distinct=0.5,
    ),
    Form(
        kind="health plan or account numbers",
        name=_words(
            r"(?:health plan|insurance|policy|beneficiary|medicare|medicaid|member|bank account|account|billing)(?: "
            r"(?:beneficiary|policy|member))? (?:no|nr|num|number|id)|iban|hicn"
        ),
        cell=_CODE,
        distinct=0.5,
    ),
    Form(
        kind="licence or certificate numbers",
        name=_words(r"(?:drivers?|driving)? ?(?:s )?(?:licen[cs]e|certificate)(?: (?:no|nr|num|number|id))"),
        cell=_CODE,
        distinct=0.5,
    ),
    Form(
        kind="vehicle identifiers",
        name=_words(
            r"vin|licen[cs]e plate|(?:number|registration) plate|plate (?:no|number)|vehicle (?:id|identifier)"
        ),
        cell=re.compile(f"(?:{_VIN.pattern})|(?:{_PLATE.pattern})"),
        distinct=0.7,
    ),
    Form(
        kind="device identifiers",
        name=_words(
            r"(?:device|implant|pacemaker|pump)(?: serial)? (?:id|identifier|no|number|serial)"
            r"|serial (?:no|nr|number)|udi|imei|mac address"
        ),
        cell=re.compile(f"(?:{_LONG_CODE.pattern})|(?:{_MAC.pattern})"),
        distinct=0.5,
    ),
    Form(
        kind="web addresses",
        name=_words(r".*(?:url|homepage|website|web page|web address|facebook|twitter|instagram|linkedin).*"),
        cell=_URL,
        distinct=0.3,
    ),
    Form(kind="internet addresses", name=_words(r"ip|ip address|ip addr"), cell=_IP),
    Form(
        kind="biometric identifiers",
        name=_words(r"finger ?prints?|voice ?prints?|iris (?:scan|code|template)|retina(?:l)? (?:scan|print)|"
                    r"face (?:print|template)|biometric(?:s| id| template)?"),
        cell=_TEMPLATE,
        distinct=0.5,
    ),
    Form(
        kind="photographs",
        name=_words(r".*(?:photo|photograph|portrait|face image|picture|foto)s?(?: (?:file|name|path|filename))?"),
        cell=_IMAGE,
    ),
    Form(
        kind="postal codes",
        name=_words(r"(?:patient )?(?:zip|zipcode|zip code|post ?code|postal code|plz)"),
        cell=_ZIP,
        share=0.8,
    ),
    Form(
        kind="postal addresses",
        name=_words(r"(?:home|street|postal|mailing|patient)? ?(?:address|adresse)(?: line)?|street|street name"),
        cell=_ADDRESS,
        distinct=0.3,
    ),
)  # fmt: skip

#: Recognised by the form of the cells, whatever the column is called.
CONTENT_RULES = (
    Form(kind="social security numbers", cell=_SSN, distinct=0.3, fewest=3),
    Form(kind="telephone numbers", cell=_PHONE, distinct=0.3, fewest=3, code_like=True),
    Form(kind="names of persons", cell=_COMMA_NAME, share=0.8, distinct=0.5, fewest=5),
    Form(kind="names of persons", cell=_PERSON, share=0.3, distinct=0.5, fewest=5),
    Form(kind="web addresses", cell=_URL, distinct=0.5, fewest=3),
    Form(kind="internet addresses", cell=_IP, fewest=3, distinct=0.1, unless=_words(r".*(?:version|release|build).*")),
    Form(kind="device identifiers", cell=_MAC, fewest=3, distinct=0.1),
    Form(kind="photographs", cell=_PHOTO, fewest=3, distinct=0.5),
    Form(kind="postal addresses", cell=_STREET, fewest=3, distinct=0.5),
    BirthDates(kind="dates over more than 40 years, as of birth", cell=_ISO, share=0.8, distinct=0.2, fewest=10),
)

EMAIL = re.compile(
    r"(?<![\w.+-])[\w.+-]+@[A-Za-z0-9](?:[A-Za-z0-9-]*[A-Za-z0-9])?(?:\.[A-Za-z0-9-]+)*\.[A-Za-z]{2,24}\b"
)


def email_cells(texts: Sequence[str], among: Sequence[int]) -> list[str]:
    """The cells that hold an e-mail address, also inside other text."""
    return [texts[at] for at in among if "@" in texts[at] and EMAIL.search(texts[at])]


def _day(text: str) -> date | None:
    found = _ISO.fullmatch(text)
    if not found:
        return None
    try:
        return date(int(found[1]), int(found[2]), int(found[3]))
    except ValueError:
        return None
