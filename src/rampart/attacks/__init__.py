"""Attacks: from images, targets and strengths to perturbed images in the ball and in [0, 1].

An attack knows a threat and a loss, not models or data: any callable from pixels to logits will
do. `base` holds the contract and its guard, `frozen` and `counted` what surrounds a model during
an attack, `search` what the methods share, `steps` their arithmetic; `pgd` and `apgd` are the
methods. Import `rampart.attacks.catalogue` to have all of them registered.
"""
