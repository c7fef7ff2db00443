"""Google's Gemini: `generateContent`, `streamGenerateContent` and `countTokens` of v1beta.

Bodies are written in gemini_request.py and read in gemini_reply.py; what each model takes is in gemini_models.py.

Source: Gemini's API reference and guides ("Function calling", "Thinking", "Thought signatures", "Structured output",
"File input methods", "Latest models"), and the types of the package google-genai 3.4.0, read 2026-11-21.

Lost on the way out: `cache_control`, `disable_parallel_tool_use`, `input_examples`, thinking of other models, thinking
asked of models that do not think, sampling of models that take none, a prefilled answer, `metadata.user_id`, tools that
the API runs itself but for the web search (gemini_search.py), GIFs of earlier turns and of tools, effort beside
thinking that is off, and what only the API has (asked.py).
Renamed: effort and thinking budgets -> `thinkingLevel` (Gemini 3 and later) or `thinkingBudget` (2.5); `max_tokens` ->
`maxOutputTokens`, which is refused above what the model writes, and so is cut to that.
Kept back: stop sequences. Gemini takes five and does not tell which one it stopped at, or that it did; they are looked
for in what comes, so that the reply can say it.

Thought signatures. Gemini 3 refuses a history in which the first call of a turn lacks the signature that it came with.
It travels in the `signature` of the thinking before that call, or of an empty block of thinking where there was none:
clients send thinking back unread, other models' adapters know by `wire/provenance.py` whose it is, and a client that
drops it loses no call. The id of a call, which the next best place would be, is sent twice, is shown to people, and has
a length limit at most providers: signatures have thousands of characters. A call without its signature, or with one of
another model, goes out with the value that Google documents for calls that Gemini did not make. A signature on a text
comes behind its last word, where a message has no place for it: it is dropped, as Google allows.
"""

import re
from typing import Any

import msgspec

from dragoman.errors import NoSuchModel

from .base import Count, Question, Target, UpstreamRequest
from .gemini_reply import GeminiReply
from .gemini_request import BYPASS, MIXED, Writing

__all__ = ["BYPASS", "Gemini"]

MODEL = re.compile(r"(?:(?:models|tunedModels)/)?[a-zA-Z0-9][a-zA-Z0-9._-]*")  # it stands in the URL
COUNTED = ("contents", "systemInstruction", "tools")  # of a request: what is read by the model

JSON = dict[str, Any]


class Gemini:
    """Messages <-> generateContent.

    Google serves the same models elsewhere, with the same bodies. A subclass for that has a `name` of its own, which is
    also the maker of the thoughts that are signed there, and says

    - in `url` and `credentials` where a request goes, and who asks;
    - in `counted` the body of a request to count;
    - in `writing` a subclass of `Writing`, for what a body may not hold there (`mixes_tools`).
    """

    name = "gemini"
    writing: type[Writing] = Writing

    def translate(self, question: Question) -> GeminiReply:
        """Raises CannotCarry for a file that the model could not see in any form, NoSuchModel where it is none."""
        origin = self._origin(question.target.model)
        writing = self.writing(question, origin=origin)
        stream = question.request.stream
        request = UpstreamRequest(
            url=self.url(question.target, "streamGenerateContent?alt=sse" if stream else "generateContent"),
            headers=self._headers(question.target, "text/event-stream" if stream else "application/json"),
            body=msgspec.json.encode(writing.body()),
        )
        return GeminiReply(question, request, origin=origin, lost=tuple(writing.lost), names=writing.names)

    def count(self, question: Question) -> Count | None:
        """Raises as `translate` does."""
        writing = self.writing(question, origin=self._origin(question.target.model))
        whole = writing.body()
        body = {name: whole[name] for name in COUNTED if name in whole}
        if MIXED in whole.get("toolConfig", {}):
            body["toolConfig"] = {MIXED: True}  # Google's tools and functions are refused side by side without it
        request = UpstreamRequest(
            url=self.url(question.target, "countTokens"),
            headers=self._headers(question.target, "application/json"),
            body=msgspec.json.encode(self.counted(question.target, body)),
            lost=tuple(writing.lost),
        )
        return Count(request=request, field="totalTokens")

    # -- what is another elsewhere --

    def url(self, target: Target, method: str) -> str:
        """Of a method of the model, such as `generateContent`. Raises NoSuchModel for a name that is none."""
        return f"{target.base_url}/{_resource(target.model)}:{method}"

    def credentials(self, target: Target) -> list[tuple[str, str]]:
        """Headers. The key is never in the URL, where logs would show it."""
        if target.api_key is None:
            return []
        if target.auth == "bearer":
            return [("authorization", f"Bearer {target.api_key}")]
        return [("x-goog-api-key", target.api_key)]

    def counted(self, target: Target, body: JSON) -> JSON:
        """The request to count for what COUNTED holds: here a whole request, which names its model once more."""
        return {"generateContentRequest": {"model": _resource(target.model), **body}}

    # -- what is the same --

    def _origin(self, model: str) -> str:
        """Who signs: another model of Gemini's is another, for nothing says that it reads what this one signed."""
        return f"{self.name}/{model.removeprefix('models/')}"

    def _headers(self, target: Target, accept: str) -> list[tuple[str, str]]:
        return [("content-type", "application/json"), ("accept", accept), *self.credentials(target)]


def _resource(model: str) -> str:
    """The path of a model: its name stands in the URL."""
    if not MODEL.fullmatch(model):
        raise NoSuchModel(f"model: {model}")
    return model if "/" in model else f"models/{model}"
