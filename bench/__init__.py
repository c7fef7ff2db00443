"""The bench: dragoman beside nginx, and beside other gateways, in one run on one core. See README.md."""
