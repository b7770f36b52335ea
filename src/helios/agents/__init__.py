"""The catalogue of roles: one Markdown file each, and the shapes of their answers."""
