"""The configuration: YAML files that Hydra composes; `prefrontal.launch.config` gives them their types."""
