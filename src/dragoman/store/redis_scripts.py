"""What Redis does for `redis.py`, each in one step of its own: the sums of buckets.py and memory.py, in Lua.

Every name carries the hash tag {dragoman}, so all of them lie in one slot of a cluster. They are of these kinds, and
all of them expire by themselves:

    {dragoman}:b:KEY        a bucket: when it is full
    {dragoman}:g:KEY        a gate: sorted set, who is inside -> until when the lease lasts
    {dragoman}:p:KEY        a purse: hash of `spent`, `reserved`, and `r:ID` -> what that request has reserved
    {dragoman}:l:KEY        the leases of these: sorted set, ID -> until when
    {dragoman}:processes    sorted set of those that are there
    {dragoman}:born         a name for what is kept: another one, and it has been forgotten

Times are seconds since EPOCH on Redis's own clock, so no machine's matters; a number of Lua's, as of 2026, holds them
to 4 nanoseconds so, which is less than a bucket of 1,000,000,000 a minute needs for one. The caller of a test may
give the time. Numbers go out as text of 17 digits: Lua's own conversions keep 14, and Redis's drop the fraction.
Money is added by Redis itself, in 64 bits; it is compared as Lua's numbers, which are exact to 9,000,000 dollars.
"""

import hashlib
from collections.abc import Mapping, Sequence
from functools import lru_cache

import msgspec

__all__ = [
    "BEAT",
    "BORN",
    "EPOCH",
    "PREFIX",
    "PROCESSES",
    "RENEW",
    "SCRIPTS",
    "SETTLE",
    "SET_SPENT",
    "TAKE",
    "call",
    "command",
    "named",
]

PREFIX = "{dragoman}:"
EPOCH = 1_767_225_600  # 2026-01-01T00:00:00Z
NAMES_KEPT = 20_000

_COMMON = f"""
local asked = cjson.decode(ARGV[1])
local now = asked.now
if now == nil then
  local time = redis.call('TIME')
  now = (tonumber(time[1]) - {EPOCH}) + tonumber(time[2]) / 1000000
end
local function exact(number) return string.format('%.17g', number) end
local function whole(number) return string.format('%.0f', number) end
local function take_back(purse, cost)  -- "-0" is no number to Redis
  if cost ~= '0' then redis.call('HINCRBY', purse, 'reserved', '-' .. cost) end
end
local function put(key, full_at)
  if full_at > now then
    redis.call('SET', key, exact(full_at), 'EX', whole(math.ceil(full_at - now) + 60))
  else
    redis.call('DEL', key)
  end
end
local function forget_expired(purse, leases)
  for _, id in ipairs(redis.call('ZRANGEBYSCORE', leases, '-inf', exact(now), 'LIMIT', 0, 500)) do
    local cost = redis.call('HGET', purse, 'r:' .. id)
    if cost then
      redis.call('HDEL', purse, 'r:' .. id)
      take_back(purse, cost)
    end
    redis.call('ZREM', leases, id)
  end
end
"""

# Asked: id, lease_s, demands [[limit, need, cost, period_s]], gates [limit], purses [[limit or -1, cost, kept_s]].
# Keys: of the demands, of the gates, and two of each purse. Answers in one text: the time, the place of a full gate
# and of a purse with too little (-1: none), of each demand its wait, when it is full, from when it is refilled; of
# each purse what is spent and reserved, "-" where that is not known.
TAKE = (
    _COMMON
    + """
local demands, gates, purses = asked.demands, asked.gates, asked.purses
local full_at, waits, began, spent = {}, {}, {}, {}
local crowded, broke, is_refused = -1, -1, false
for i, demand in ipairs(demands) do
  local full = tonumber(redis.call('GET', KEYS[i]) or now)
  local wait = 0
  if full > now then
    local missing = full - now
    if demand[2] < demand[1] then missing = missing - demand[4] * (1 - demand[2] / demand[1]) end
    if missing > 1e-6 then wait = missing; is_refused = true end
  end
  full_at[i], waits[i], began[i] = full, wait, now
end
for i, limit in ipairs(gates) do
  local key = KEYS[#demands + i]
  redis.call('ZREMRANGEBYSCORE', key, '-inf', exact(now))
  if crowded < 0 and redis.call('ZCARD', key) >= limit then crowded = i - 1; is_refused = true end
end
for i, purse in ipairs(purses) do
  local at = #demands + #gates + 2 * i - 1
  forget_expired(KEYS[at], KEYS[at + 1])
  local kept = redis.call('HMGET', KEYS[at], 'spent', 'reserved')
  if kept[1] then
    spent[i] = tonumber(kept[1]) + tonumber(kept[2] or 0)
    if broke < 0 and purse[1] >= 0 and purse[2] > 0 and spent[i] + purse[2] > purse[1] then
      broke = i - 1; is_refused = true
    end
  else
    spent[i] = false; is_refused = true
  end
end
if not is_refused then
  for i, demand in ipairs(demands) do
    if full_at[i] > now then began[i] = full_at[i] end
    local taken = math.min(demand[3], demand[1])
    if taken > 0 then
      full_at[i] = began[i] + taken * demand[4] / demand[1]
      put(KEYS[i], full_at[i])
    end
  end
  for i = 1, #gates do
    redis.call('ZADD', KEYS[#demands + i], exact(now + asked.lease_s), asked.id)
    redis.call('EXPIRE', KEYS[#demands + i], asked.lease_s + 60)
  end
  for i, purse in ipairs(purses) do
    local at = #demands + #gates + 2 * i - 1
    redis.call('HSET', KEYS[at], 'r:' .. asked.id, whole(purse[2]))
    redis.call('HINCRBY', KEYS[at], 'reserved', whole(purse[2]))
    redis.call('EXPIRE', KEYS[at], whole(purse[3]))
    redis.call('ZADD', KEYS[at + 1], exact(now + asked.lease_s), asked.id)
    redis.call('EXPIRE', KEYS[at + 1], asked.lease_s + 60)
    spent[i] = spent[i] + purse[2]
  end
end
local out = {exact(now), crowded, broke}
for i = 1, #demands do out[#out + 1] = exact(waits[i]) end
for i = 1, #demands do out[#out + 1] = exact(full_at[i]) end
for i = 1, #demands do out[#out + 1] = exact(began[i]) end
for i = 1, #purses do out[#out + 1] = spent[i] and whole(spent[i]) or '-' end
return table.concat(out, ' ')
"""
)

# Asked: id, shares [[taken, began, actual, limit, period_s]], gates (how many), spent (of each purse, a text), is_again
# (sent before, who knows whether it came: then only what is reserved still counts). Keys as above.
SETTLE = (
    _COMMON
    + """
for i, share in ipairs(asked.shares) do
  local full = tonumber(redis.call('GET', KEYS[i]) or now)
  local taken, actual, second = share[1], share[3], share[5] / share[4]
  if actual > taken then
    full = math.max(full, now) + (actual - taken) * second
  elseif actual < taken then
    local idle = math.max(now - (share[2] + actual * second), 0)
    full = full - math.max((taken - actual) * second - idle, 0)
  end
  put(KEYS[i], full)
end
for i = 1, asked.gates do redis.call('ZREM', KEYS[#asked.shares + i], asked.id) end
for i, spent in ipairs(asked.spent) do
  local at = #asked.shares + asked.gates + 2 * i - 1
  local reserved = redis.call('HGET', KEYS[at], 'r:' .. asked.id)
  if reserved then
    redis.call('HDEL', KEYS[at], 'r:' .. asked.id)
    take_back(KEYS[at], reserved)
    redis.call('ZREM', KEYS[at + 1], asked.id)
  end
  if (reserved or not asked.is_again) and redis.call('HEXISTS', KEYS[at], 'spent') == 1 then
    redis.call('HINCRBY', KEYS[at], 'spent', spent)
  end
end
"""
)

# Asked: spent (a text), kept_s. Key: the purse.
SET_SPENT = """
local asked = cjson.decode(ARGV[1])
if redis.call('HSETNX', KEYS[1], 'spent', asked.spent) == 1 then
  redis.call('EXPIRE', KEYS[1], string.format('%.0f', asked.kept_s))
end
"""

# Asked: lease_s, held [[id, cost]]. Keys: a gate; or the leases of a purse and the purse. Who is not there (any more,
# because what was kept here was lost) is put in again: the request is running.
RENEW = (
    _COMMON
    + """
local is_purse = KEYS[2] ~= nil
if is_purse and redis.call('HEXISTS', KEYS[2], 'spent') == 0 then return end
for _, held in ipairs(asked.held) do
  redis.call('ZADD', KEYS[1], exact(now + asked.lease_s), held[1])
  if is_purse and redis.call('HSETNX', KEYS[2], 'r:' .. held[1], whole(held[2])) == 1 then
    redis.call('HINCRBY', KEYS[2], 'reserved', whole(held[2]))
  end
end
redis.call('EXPIRE', KEYS[1], asked.lease_s + 60)
"""
)

# Asked: id (of a process), lease_s, born (a name, if there is none). Keys: the processes, the name. Answers how many
# there are, and the name.
BEAT = (
    _COMMON
    + """
redis.call('ZREMRANGEBYSCORE', KEYS[1], '-inf', exact(now))
redis.call('ZADD', KEYS[1], exact(now + asked.lease_s), asked.id)
redis.call('EXPIRE', KEYS[1], asked.lease_s + 60)
redis.call('SETNX', KEYS[2], asked.born)
return {redis.call('ZCARD', KEYS[1]), redis.call('GET', KEYS[2])}
"""
)

SCRIPTS = (TAKE, SETTLE, SET_SPENT, RENEW, BEAT)


@lru_cache(NAMES_KEPT)
def named(kind: str, key: str) -> bytes:
    """The name of a thing of this kind (see above), as a command has it."""
    return _bulk(f"{PREFIX}{kind}:{key}".encode())


def call(script: str, names: Sequence[bytes], asked: Mapping[str, object]) -> bytes:
    """The command that runs a script which has been loaded, as it stands on the wire: packed by the package it would
    take a third of all the time that a request with limits costs (30 of 100 us, measured on 2026-11-21)."""
    told = msgspec.json.encode(asked)
    count = len(names)
    return b"*%d\r\n%b%b%b$%d\r\n%b\r\n" % (
        count + 4, _RUN[script], _bulk(b"%d" % count), b"".join(names), len(told), told
    )  # fmt: skip


def command(*words: str) -> bytes:
    """Any other command."""
    return b"*%d\r\n%b" % (len(words), b"".join([_bulk(word.encode()) for word in words]))


def _bulk(text: bytes) -> bytes:
    return b"$%d\r\n%b\r\n" % (len(text), text)


_RUN = {
    each: _bulk(b"EVALSHA") + _bulk(hashlib.sha1(each.encode(), usedforsecurity=False).hexdigest().encode())
    for each in SCRIPTS
}
PROCESSES, BORN = _bulk(f"{PREFIX}processes".encode()), _bulk(f"{PREFIX}born".encode())
