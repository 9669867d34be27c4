"""Charts: declarative specifications made from rows of aggregates, and their drawings. Nothing else draws."""
