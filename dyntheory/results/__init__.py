"""The one result, its status, and how two agree."""
