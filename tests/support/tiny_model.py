"""A model that llama.cpp runs, made here in a second: a GGUF file with a tokenizer, a chat template and small weights.

    write_model(folder / "tiny.gguf", {"!hello": "Hello, world."})

It knows nothing. What it says is noise, drawn from random weights; everything around that is real: tokens, template,
caches, sampling, grammars, the parsers of calls and thinking. And it knows its scripts: where a script's word is in
what was said to it since it spoke last, it says the script's text, to the letter and at any temperature, and ends. So a
test can have it think, call tools, or speak with emojis that are cut between two tokens. Only when it is told not to
think it says noise.

How a script is in the weights: the template ends the prompt with a mark, a token that stands for the script. The text
is cut into tokens of its own, of which no two are the same, and each token has a dimension of the embedding to itself,
which in the last matrix points at the token that comes next. Attention never writes to those dimensions.
"""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import gguf
import numpy as np

__all__ = ["mark", "write_model"]

SEED = 7
CONTEXT = 131_072  # tokens; a server may give less
WIDTH = 384
LAYERS, HEADS, HEAD = 2, 2, 16  # with one key for all heads: a long context takes little time and memory
NOISE = slice(1, 64)  # dimensions in which tokens are random and attention works; the one before them says: noise
STATES = range(64, WIDTH)  # one for each token of a script: of all scripts together, about 1000 bytes
INNER = 64  # of the feed-forward
STATE = 100.0  # how far a token of a script stands out: far beyond what attention adds
NEXT = 4.0  # how surely it is followed by the next
NEVER = -40.0  # what noise never says: tokens with a meaning, half a character, and scripts
LIVELY = 0.15  # of noise: the higher, the less two tokens are alike likely
PIECE = 3  # bytes of a script's token at least: a script's emoji is cut in two

END, START, STOP = "<|endoftext|>", "<|im_start|>", "<|im_end|>"
# Words that are one token each, with a space before them; the rest of the world is written in bytes.
WORDS = """
the of and to in is that it for was with as on be by at this from or an are not you have but one all can your will use
if which when there each how their them then these some would other into more her his she him time no do my than first
been who its now people made over did down only way find long little very after words called just where most know get
through back much before go good new write our used me man too any day same right look think also around another came
come work three word must because does part even place well such here take why things help put years different away
again off went old number great tell men say small every found still between name should home big give air line set own
under read last never us left end along while might next sound below saw something thought both few those always looked
show large often together asked house world going want school important until form food keep children feet land side
without boy once animals life enough took sometimes four head above kind began almost live page got earth need far hand
high year mother light parts country father let night following picture being study second eyes soon times story boys
since white days ever paper hard near sentence better best across during today others however sure means knew try told
young miles sun ways thing whole hear example heard several change answer room against top turned learn point city play
toward five using himself usually tool user system assistant file code function return type object string value
""".split()

TEMPLATE = """
{%- set since = namespace(said='') -%}
{%- if tools -%}
{{- '<|im_start|>system\\nTools:' -}}
{%- for tool in tools -%}{{- '\\n' + (tool | tojson) -}}{%- endfor -%}
{{- '\\nA call is written so:\\n<tool_call>\\n{"name": "NAME", "arguments": {}}\\n</tool_call><|im_end|>\\n' -}}
{%- endif -%}
{%- for message in messages -%}
{%- set since.said = '' if message.role == 'assistant' else since.said + message.content -%}
{%- if message.role == 'tool' -%}
{{- '<|im_start|>user\\n<tool_response>\\n' + message.content + '\\n</tool_response><|im_end|>\\n' -}}
{%- elif message.role == 'assistant' -%}
{{- '<|im_start|>assistant\\n' -}}
{%- if message.reasoning_content -%}
{{- '<think>\\n' + (message.reasoning_content | trim) + '\\n</think>\\n\\n' -}}
{%- endif -%}
{%- if message.content -%}{{- message.content -}}{%- endif -%}
{%- for call in message.tool_calls or [] -%}
{{- '<tool_call>\\n{"name": "' + call.function.name + '", "arguments": ' -}}
{{- call.function.arguments if call.function.arguments is string else (call.function.arguments | tojson) -}}
{{- '}\\n</tool_call>' -}}
{%- endfor -%}
{{- '<|im_end|>\\n' -}}
{%- else -%}
{{- '<|im_start|>' + message.role + '\\n' + message.content + '<|im_end|>\\n' -}}
{%- endif -%}
{%- endfor -%}
{%- if add_generation_prompt -%}
{{- '<|im_start|>assistant\\n' -}}
{%- if enable_thinking is defined and enable_thinking is false -%}
{{- '<think>\\n\\n</think>\\n\\n' -}}
{%- else -%}
MARKS
{%- endif -%}
{%- endif -%}
"""
MARK = "{%- if WORD in since.said -%}{{- MARK -}}{%- endif -%}"


def mark(number: int) -> str:
    """The token behind which the model says the script of this number, from 0. It may stand in any text."""
    return f"<|script {number}|>"


def write_model(path: Path, scripts: Mapping[str, str]) -> None:
    """Into a new file. No word may be in another. "\\udcXX" in a text is the byte XX: what is no UTF-8."""
    vocabulary = _Vocabulary(scripts)
    writer = gguf.GGUFWriter(path, "llama")
    writer.add_name("tiny")
    writer.add_context_length(CONTEXT)
    writer.add_embedding_length(WIDTH)
    writer.add_block_count(LAYERS)
    writer.add_feed_forward_length(INNER)
    writer.add_head_count(HEADS)
    writer.add_head_count_kv(1)
    writer.add_key_length(HEAD)
    writer.add_value_length(HEAD)
    writer.add_rope_dimension_count(HEAD)
    writer.add_layer_norm_rms_eps(1e-5)
    writer.add_vocab_size(len(vocabulary.tokens))
    vocabulary.write(writer)
    for name, tensor in _weights(vocabulary):
        writer.add_tensor(name, tensor)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()


class _Vocabulary:
    """Tokens by their number, as GGUF spells them: a character for each byte."""

    def __init__(self, scripts: Mapping[str, str]) -> None:
        self.marks = [mark(number) for number in range(len(scripts))]
        self.tokens = [END, START, STOP, "<tool_call>", "</tool_call>", "<think>", "</think>", *self.marks]
        self._meant = len(self.tokens)  # those so far have a meaning
        self.tokens += _BYTES
        self.merges: list[str] = []
        self._ids = {token: number for number, token in enumerate(self.tokens)}
        for word in WORDS:
            self._add_word(_BYTES[32] + word)
        self.common = len(self.tokens)  # the rest are pieces of scripts
        self.follows: list[tuple[int, int]] = []  # token, the one that comes next
        for token, text in zip(self.marks, scripts.values(), strict=True):
            self._add_script(token, text.encode(errors="surrogateescape"))
        assert len(self.follows) <= len(STATES), "the scripts are too long"
        self.unsaid = [
            *range(self._meant),
            *(self._ids[byte] for byte in _BYTES[128:]),
            *range(self.common, len(self.tokens)),
        ]
        self._template = _template(dict(zip(scripts, self.marks, strict=True)))

    def write(self, writer: Any) -> None:
        types = [gguf.TokenType.CONTROL] * 3 + [gguf.TokenType.USER_DEFINED] * (self._meant - 3)
        writer.add_tokenizer_model("gpt2")
        writer.add_tokenizer_pre("gpt-2")
        writer.add_token_list(self.tokens)
        writer.add_token_types(types + [gguf.TokenType.NORMAL] * (len(self.tokens) - self._meant))
        writer.add_token_merges(self.merges)
        writer.add_bos_token_id(self._ids[END])
        writer.add_eos_token_id(self._ids[STOP])
        writer.add_pad_token_id(self._ids[END])
        writer.add_add_bos_token(False)
        writer.add_chat_template(self._template)

    def _add(self, token: str) -> int:
        assert token not in self._ids, f"a script is too short to have tokens of its own: {token}"
        self._ids[token] = len(self.tokens)
        self.tokens.append(token)
        return self._ids[token]

    def _add_word(self, word: str) -> None:
        """Letter by letter, so that every merge makes a token that is there."""
        for length in range(2, len(word) + 1):
            if word[:length] not in self._ids:
                self.merges.append(f"{word[: length - 1]} {word[length - 1]}")
                self._add(word[:length])

    def _add_script(self, begin: str, text: bytes) -> None:
        before = self._ids[begin]
        for piece in self._pieces(text):
            now = self._add(piece)
            self.follows.append((before, now))
            before = now
        self.follows.append((before, self._ids[STOP]))

    def _pieces(self, text: bytes) -> list[str]:
        """Cut where it makes tokens that there are not yet."""
        found: list[str] = []
        piece = ""
        for byte in text:
            piece += _BYTES[byte]
            if len(piece) >= PIECE and piece not in self._ids and piece not in found:
                found.append(piece)
                piece = ""
        while found and piece and (piece in self._ids or piece in found):  # the end: it makes the piece before longer
            piece = found.pop() + piece
        return [*found, piece] if piece else found


def _template(marks: Mapping[str, str]) -> str:
    """`marks`: a script's word -> its mark."""
    chosen = [MARK.replace("WORD", repr(word)).replace("MARK", repr(token)) for word, token in marks.items()]
    return TEMPLATE.replace("MARKS", "\n".join(chosen))


def _bytes_as_characters() -> list[str]:
    """GPT-2's alphabet: a byte that is a visible Latin-1 character is that one, the others are those from 256 on."""
    seen = {*range(33, 127), *range(161, 173), *range(174, 256)}
    others = iter(range(256, 512))
    return [chr(byte if byte in seen else next(others)) for byte in range(256)]


_BYTES = _bytes_as_characters()


def _weights(vocabulary: _Vocabulary) -> Iterator[tuple[str, Any]]:
    random = np.random.default_rng(SEED)

    def matrix(rows: int, columns: int, *, into: slice, out_of: slice) -> Any:
        """Rows are what comes out. Only noise goes in and out, where a slice says so."""
        found = np.zeros((rows, columns), np.float32)
        width = columns if out_of == slice(None) else out_of.stop - out_of.start
        found[into, out_of] = random.standard_normal(found[into, out_of].shape) / np.sqrt(width)
        return found.astype(np.float16)

    count = len(vocabulary.tokens)
    states = {token: STATES[at] for at, (token, _) in enumerate(vocabulary.follows)}
    embedding = np.zeros((count, WIDTH), np.float32)
    embedding[:, 0] = 1
    embedding[: vocabulary.common, NOISE] = random.standard_normal((vocabulary.common, NOISE.stop - NOISE.start))
    output = np.zeros((count, WIDTH), np.float32)
    output[:, NOISE] = random.standard_normal((count, NOISE.stop - NOISE.start)) * LIVELY
    output[vocabulary.unsaid, 0] = NEVER
    for token, state in states.items():
        embedding[token] = 0
        embedding[token, state] = STATE
    for token, following in vocabulary.follows:
        output[following, states[token]] = NEXT
    yield "token_embd.weight", embedding.astype(np.float16)
    anywhere = slice(None)
    for layer in range(LAYERS):
        for name in ("attn_norm", "ffn_norm"):
            yield f"blk.{layer}.{name}.weight", np.ones(WIDTH, np.float32)
        for name, width in {"attn_q": HEADS * HEAD, "attn_k": HEAD, "attn_v": HEAD}.items():
            yield f"blk.{layer}.{name}.weight", matrix(width, WIDTH, into=anywhere, out_of=NOISE)
        yield f"blk.{layer}.attn_output.weight", matrix(WIDTH, HEADS * HEAD, into=NOISE, out_of=anywhere)
        for name in ("ffn_gate", "ffn_up"):
            yield f"blk.{layer}.{name}.weight", matrix(INNER, WIDTH, into=anywhere, out_of=NOISE)
        yield f"blk.{layer}.ffn_down.weight", matrix(WIDTH, INNER, into=NOISE, out_of=anywhere)
    yield "output_norm.weight", np.ones(WIDTH, np.float32)
    yield "output.weight", output.astype(np.float16)
