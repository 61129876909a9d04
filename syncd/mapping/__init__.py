"""YAML -> Mapping: what crosses, in which shape, and whose word counts."""
