"""Pure rules: values in, decisions out. See README.md in this folder."""
