"""From files to one validated analysis table."""
