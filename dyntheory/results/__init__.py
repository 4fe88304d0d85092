"""The one result, its file, its status, and how two agree."""
