"""Phase 1, CONFIG: YAML documents become checked, frozen models, or a list of everything that is wrong with them."""
