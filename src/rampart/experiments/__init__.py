"""Studies: many runs, which of them are finished, and their table."""
