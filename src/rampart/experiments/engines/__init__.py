"""Engines: how the runs of a study are carried out, one after another or many at a time."""
