"""Scripted replies of the offline engine: rules in a TOML file, matchers on one side and replies on the other.

`script.py` loads the file, with `reading.py` and `lines.py`; `match.py` holds the conditions, which `conditions.py`
reads; `replies.py` the replies, with `blocks.py`, `failures.py` and `template.py`; `play.py` answers, and remembers by
`state.py`.
"""

from .play import Scripted
from .replies import ScriptedReply, UsageOverrides
from .script import Script

__all__ = ["Script", "Scripted", "ScriptedReply", "UsageOverrides"]
