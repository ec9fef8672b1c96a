"""What a study will cost, before its first run: passes counted, and time measured."""
