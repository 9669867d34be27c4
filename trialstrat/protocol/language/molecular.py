"""Molecular events as rows of the tables that the schema names, or as conditions on the columns it names."""

from __future__ import annotations

from trialstrat.errors import InvalidInputError
from trialstrat.protocol.language.model import Alteration, Condition, Records
from trialstrat.protocol.language.schema import FOUND, Molecular


def alteration_as_records(node: Alteration, layout: Molecular) -> Records | Condition:
    """What a molecular event asks of the tables.

    Raises
    ------
    InvalidInputError
        When the schema does not say where such events are found.
    """
    if node.event in ("tmb", "msi"):
        return node.condition(_declared(layout, node.event))
    gene = Condition(column=layout.gene, equals=node.gene)
    if node.event != "mutation":
        value = layout.copy_number_value if node.event == "copy_number" else layout.expression_value
        return Records(records=_declared(layout, node.event), where=(gene,), has=node.condition(value))
    where = [gene]
    if layout.found:
        yes, silent, _ = FOUND
        where.append(Condition(column=layout.found, one_of=(yes, silent) if node.classes else (yes,)))
    if node.classes:
        where.append(Condition(column=layout.variant_class, one_of=node.classes))
    if node.protein_change:
        where.append(Condition(column=layout.protein_change, equals=node.protein_change))
    # where it is known who was sequenced, a patient without a row in the table has no mutation
    absent = "none" if layout.assayed else "unknown"
    return Records(records=_declared(layout, "mutations"), where=tuple(where), absent=absent)


def _declared(layout: Molecular, entry: str) -> str:
    name = getattr(layout, entry)
    if not name:
        raise InvalidInputError(
            f"criterion: where {entry} is found is not declared; add molecular: {entry}: to the schema"
        )
    return name
