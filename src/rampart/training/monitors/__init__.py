"""Monitors: each observes a run after every epoch; an alert says what is wrong and what to do."""
