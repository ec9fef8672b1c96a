"""Whether the numbers of an evaluation can be trusted: checks that give machine-readable verdicts.

Knows models and results; a check never changes what the evaluation measures.
"""
