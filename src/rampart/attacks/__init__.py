"""Attacks: from images, targets and strengths to perturbed images in the ball and in [0, 1].

An attack depends on a threat model and a loss. The model may be any callable from pixels to
logits. The modules:

- `base`: the interface `Attack`, which checks arguments and clips results.
- `frozen`: holds parameters, buffers and mode of a model fixed during an attack.
- `algorithm`: the interface of the iterative methods, and the loop that runs them.
- `steps`, `hyperplane`: starting points, steps and projections.
- `pgd`, `apgd` (with `sparse` for L1), `fab`, `square`: the methods.
- `averaged`: means over a stochastic model.
- `stages`, `autoattack`: several methods one after another.

Importing `rampart.attacks.catalogue` registers all attacks.
"""
