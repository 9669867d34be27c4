"""Pure statistics on arrays; knows no protocol and imports no pandas."""
