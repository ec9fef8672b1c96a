"""The configuration of a run.

`schema` lists its fields, `components` builds what they name, `rules` refuses contradictions,
`run_config` puts the three together, and `loading` reads it from YAML and `key=value` overrides.
"""
