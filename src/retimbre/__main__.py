"""`python -m retimbre`: the same program as `retimbre`, for launchers that start modules."""

from retimbre.cli.app import main

if __name__ == "__main__":
    main()
