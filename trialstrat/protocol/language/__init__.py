"""The language of eligibility criteria as it is declared: expressions, their one-line text, tables and units."""
