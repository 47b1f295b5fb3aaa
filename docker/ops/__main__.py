"""`python -m ops`, which ./stack becomes once its environment stands."""

from ops.cli import main

main()
