"""Problems as tables of a TOML file, data as tables of numbers."""
