"""The search for learning rates and weight decays, on the validation split alone.

`space` and `starting_points` say what is tried, `trials` stores it, `session` decides what is left
to try, `one_trial` trains one set of settings in a process of Ray, `searching` and `ray_tune` run
all of them, and `outcome` writes the result.
"""
