"""Python imports this as it starts a server process of `Running`: the server then watches its own streams."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))
try:
    import watching
finally:
    del sys.path[0]

sys.path.remove(str(Path(__file__).parent))
watching.watch_child()
