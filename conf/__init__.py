"""The configuration: YAML files that Hydra composes; `settings` declares types and ranges, `checking` applies them."""
