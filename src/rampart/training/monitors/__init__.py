"""Monitors: each looks at a run after every epoch and says what goes wrong and what to do."""
