"""The configuration of a run.

`rampart.schema` lists its fields. Here `components` builds the components that they name, `rules`
refuses contradictions, `run_config` combines the three, and `loading` reads a configuration from
YAML and `key=value` overrides.
"""
