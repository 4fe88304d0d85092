"""Independent oracles the engine is tested against; nothing here imports the package."""
