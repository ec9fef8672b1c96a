"""What runs and evaluations leave, turned into tables, pictures and sentences.

Reads records, metrics and schedules, never a model: nothing here loads torch, and matplotlib is
imported where a picture is drawn.
"""
