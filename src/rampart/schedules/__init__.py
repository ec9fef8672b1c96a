"""When the strength is what: alpha(t) in [0, 1], with eps(t) = alpha(t) · eps_g.

Schedules and the stepper that follows them; no torch, no training, no drawing.
"""
