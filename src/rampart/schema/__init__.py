"""The keys of a run's configuration, without anything that acts on them.

`fields` lists them, `sections` holds the kinds of values and sections they are made of, `effects`
says whether a key changes results. Nothing here needs torch.
"""
