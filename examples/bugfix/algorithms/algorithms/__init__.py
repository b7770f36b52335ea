"""Small, readable versions of well-known algorithms, one idea a module."""
