"""Monitors: what watches a run at the end of every epoch, and says what goes wrong and what to do."""
