"""Lets every test folder import the helpers of tests/support, as in `from misbehaving import Misbehaving`."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent / "support"))
