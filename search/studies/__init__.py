"""The studies that genseek ships, one TOML file each."""
