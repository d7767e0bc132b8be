"""The checker that the tests run every annotated function of the package through; see `addopts` in pyproject.toml.

It is beartype, with the one rule of the type system that it leaves out by default: an int is welcome where a float is.
"""

from beartype import BeartypeConf, beartype

check = beartype(conf=BeartypeConf(is_pep484_tower=True))
