"""Readers: one file per form of data, each from files to splits.

A reader returns the splits that the data define, and notes. `rampart.data.datasets` chooses the
reader by the name of the data, and draws the splits that are missing.
"""
