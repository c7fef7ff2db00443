"""A conversation goes on with another model: thinking that ours cannot have signed is left out (issue 6, pain 7)."""

import pytest

import dragoman
from dragoman.wire.provenance import UNSIGNED, wrap


@pytest.mark.parametrize("signature", [UNSIGNED, wrap("gemini/gemini-3-pro", "c2ln")])
def test_thinking_of_another_maker_is_not_refused(signature: str) -> None:
    """Thinking with a signature that is no one's is 400 (MSG-59); this is known as another's."""
    thought = {"type": "thinking", "thinking": "hm", "signature": signature}
    messages = [
        {"role": "user", "content": "Hi"},
        {"role": "assistant", "content": [thought, {"type": "text", "text": "Hello"}]},
        {"role": "user", "content": "And now?"},
    ]
    thinking = {"type": "adaptive"}
    with dragoman.Client.offline() as client:
        reply = client.messages.create(model="claude-opus-4-8", max_tokens=2000, messages=messages, thinking=thinking)
        assert reply.content[-1].text
        thought["signature"] = "no one's"
        with pytest.raises(dragoman.BadRequestError, match="signature"):
            client.messages.create(model="claude-opus-4-8", max_tokens=2000, messages=messages, thinking=thinking)
