"""The Lua scripts of the vector store. They know the keys of an index by its root alone; no field of anybody's metadata.

All but MAKE, REMOVE_INDEX and SWEEP begin with the index as the caller knows it, and answer 'again' when it has become another: removed,
made anew, or marked by other fields. A script is not undone when it fails in the middle, so everything that can fail is tried before the
first write: the type of each key.
"""

from __future__ import annotations

_INDEX = """
local held = redis.call('HMGET', KEYS[1], 'generation', 'fields')
if held[1] ~= ARGV[1] or (ARGV[2] ~= '*' and held[2] ~= ARGV[2]) then return {'again'} end
local root = ARGV[3]
local ids, aside = root .. 'ids', root .. 'aside'
"""

_MARKS = """
local checked = {}
local function check(marks)
  for mark in string.gmatch(marks, '%S+') do
    if not checked[mark] then redis.call('ZCARD', root .. 'm:' .. mark) checked[mark] = true end
  end
end
local function remark(id, old, new)
  if old == new then return end
  for mark in string.gmatch(old, '%S+') do redis.call('ZREM', root .. 'm:' .. mark, id) end
  for mark in string.gmatch(new, '%S+') do redis.call('ZADD', root .. 'm:' .. mark, 0, id) end
end
local function put(key, id, part, blob)
  redis.call('HSET', key, part, blob)
  if part == 'aside' then
    redis.call('HDEL', key, 'vector')
    redis.call('ZADD', aside, 0, id)
  else
    redis.call('HDEL', key, 'aside')
    redis.call('ZREM', aside, id)
  end
end
redis.call('ZCARD', ids)
redis.call('ZCARD', aside)
"""

# The vectors that are there of those named from ARGV[first] on, each with the SHA-1 of the metadata it must still have; '' for any.
_MEANT = """
local function meant(first)
  local there = {}
  for i = first, #ARGV, 2 do
    local key = root .. 'v:' .. ARGV[i]
    local now = redis.call('HMGET', key, 'metadata', 'marks')
    if now[1] then
      if ARGV[i + 1] ~= '' and redis.sha1hex(now[1]) ~= ARGV[i + 1] then return nil end
      check(now[2] or '')
      there[#there + 1] = {key, ARGV[i], now[2] or ''}
    end
  end
  return there
end
"""

UPSERT = (
    _INDEX
    + _MARKS
    + """
local olds = {}
for i = 4, #ARGV, 5 do
  olds[i] = redis.call('HGET', root .. 'v:' .. ARGV[i], 'marks') or ''
  check(olds[i])
  check(ARGV[i + 4])
end
for i = 4, #ARGV, 5 do
  local id = ARGV[i]
  local key = root .. 'v:' .. id
  redis.call('HSET', key, 'metadata', ARGV[i + 3], 'marks', ARGV[i + 4])
  put(key, id, ARGV[i + 1], ARGV[i + 2])
  redis.call('ZADD', ids, 0, id)
  remark(id, olds[i], ARGV[i + 4])
end
return {'done'}
"""
)
"""Save vectors. ARGV from 4: id, where its vector goes ('vector' or 'aside'), vector, metadata, marks, of each."""

UPDATE = (
    _INDEX
    + _MARKS
    + _MEANT
    + """
local part, blob, metadata, marks = ARGV[4], ARGV[5], ARGV[6], ARGV[7]
check(marks)
local there = meant(8)
if not there then return {'again'} end
for _, one in ipairs(there) do
  if part ~= '' then put(one[1], one[2], part, blob) end
  if metadata ~= '' then
    redis.call('HSET', one[1], 'metadata', metadata, 'marks', marks)
    remark(one[2], one[3], marks)
  end
end
return {'done', #there}
"""
)
"""Replace vectors, metadata or both. ARGV from 4: where the vector goes ('' leaves it), vector, metadata ('' leaves it), marks, who."""

DELETE = (
    _INDEX
    + _MARKS
    + _MEANT
    + """
local there = meant(4)
if not there then return {'again'} end
for _, one in ipairs(there) do
  redis.call('UNLINK', one[1])
  redis.call('ZREM', ids, one[2])
  redis.call('ZREM', aside, one[2])
  remark(one[2], one[3], '')
end
return {'done', #there}
"""
)
"""Remove vectors. ARGV from 4: who."""

SETTLE = (
    _INDEX
    + _MARKS
    + """
for i = 4, #ARGV, 2 do
  local key = root .. 'v:' .. ARGV[i]
  local blob = redis.call('HGET', key, 'aside')
  -- What was written meanwhile, is whoever's wrote it.
  if blob and redis.sha1hex(blob) == ARGV[i + 1] then put(key, ARGV[i], 'vector', blob) end
end
return {'done'}
"""
)
"""Move vectors to where the search index finds them. ARGV from 4: id, and the SHA-1 of the vector that was put aside, of each."""

REMARK = (
    _INDEX
    + _MARKS
    + """
for i = 4, #ARGV, 3 do
  local key = root .. 'v:' .. ARGV[i]
  local now = redis.call('HMGET', key, 'metadata', 'marks')
  -- What was written meanwhile, was written with all marks.
  if now[1] and redis.sha1hex(now[1]) == ARGV[i + 1] then
    check(ARGV[i + 2])
    redis.call('HSET', key, 'marks', ARGV[i + 2])
    remark(ARGV[i], now[2] or '', ARGV[i + 2])
  end
end
return {'done'}
"""
)
"""Mark vectors. ARGV from 4: id, the SHA-1 of the metadata that was read, marks, of each."""

LOOK = (
    _INDEX
    + """
local set = root .. ARGV[4]
local low = '-'
if ARGV[5] ~= '' then low = '(' .. ARGV[5] end
local answer = {'done', redis.call('ZCARD', set)}
for _, id in ipairs(redis.call('ZRANGEBYLEX', set, low, '+', 'LIMIT', 0, ARGV[6])) do
  local one
  if ARGV[7] == '' then
    one = redis.call('HMGET', root .. 'v:' .. id, 'metadata')
  else
    one = redis.call('HMGET', root .. 'v:' .. id, 'metadata', 'vector', 'aside')
  end
  answer[#answer + 1] = id
  answer[#answer + 1] = one[1]
  answer[#answer + 1] = one[2] or one[3] or false
end
return answer
"""
)
"""How many there are in a sorted set, and of ARGV[6] of them id, metadata and vector. ARGV from 4: set, id to go on after, how many, 1."""

SIZES = (
    _INDEX
    + """
local answer = {'done'}
for i = 4, #ARGV do answer[#answer + 1] = redis.call('ZCARD', root .. ARGV[i]) end
return answer
"""
)
"""How many there are in each sorted set that ARGV names from 4 on."""

MAKE = """
if redis.call('EXISTS', KEYS[1]) == 0 then
  redis.call('HSET', KEYS[1], 'dimension', ARGV[1], 'metric', ARGV[2], 'generation', ARGV[3], 'fields', ARGV[4], 'ready', ARGV[4])
end
return redis.call('HGETALL', KEYS[1])
"""
"""The hash of an index, written now if there was none."""

NOTE = (
    _INDEX
    + """
redis.call('HSET', KEYS[1], ARGV[4], ARGV[5])
return {'done'}
"""
)
"""Set a field of an index's hash."""

REMOVE_INDEX = """
local generation = redis.call('HGET', KEYS[1], 'generation')
redis.call('SCARD', KEYS[2])
if generation then redis.call('SADD', KEYS[2], generation) end
redis.call('DEL', KEYS[1])
return redis.call('SMEMBERS', KEYS[2])
"""
"""Remove an index: from now on there is none. Answers the generations of its name of which keys may be left."""

SWEEP = """
local root = ARGV[1]
local found = redis.call('ZRANGE', root .. 'ids', 0, ARGV[3] - 1)
for _, id in ipairs(found) do
  local marks = redis.call('HGET', root .. 'v:' .. id, 'marks') or ''
  for mark in string.gmatch(marks, '%S+') do redis.call('UNLINK', root .. 'm:' .. mark) end
  redis.call('UNLINK', root .. 'v:' .. id)
  redis.call('ZREM', root .. 'ids', id)
end
if #found == 0 then
  redis.call('UNLINK', root .. 'aside')
  redis.call('SREM', KEYS[1], ARGV[2])
end
return #found
"""
"""Delete some of the vectors of a removed generation; how many there were. ARGV: root, generation, how many at most."""
