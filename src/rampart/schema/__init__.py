"""The keys of a run's configuration; nothing here acts on them or needs torch.

`fields` lists the keys, `sections` defines their types, and `effects` looks up which results a key
changes.
"""
