"""Tables, pictures and sentences about runs and evaluations.

Reports read records, metrics and schedules, never a model. They do not import torch, and they
import matplotlib only to draw a picture.
"""
