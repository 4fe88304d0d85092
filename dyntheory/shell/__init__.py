"""What a person types: commands, tables, and what they print."""
