"""Attacks: from images, targets and strengths to perturbed images in the ball and in [0, 1].

An attack knows a threat and a loss, not models or data: any callable from pixels to logits will
do. `base` holds the contract and its guard, `frozen` and `counted` what surrounds a model during
an attack, `algorithm` what the methods share, `steps` and `hyperplane` their arithmetic; `pgd`,
`apgd` (with `sparse` for L1), `fab` and `square` are the methods, and `autoattack` puts them
together. Import `rampart.attacks.catalogue` to have all of them registered.
"""
