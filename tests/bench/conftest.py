"""`bench` is a folder beside `src`, not an installed package: its tests find it from the checkout's root."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[2]))
