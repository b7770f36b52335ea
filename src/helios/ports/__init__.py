"""The narrow waist: Protocols that services speak and back ends implement."""
