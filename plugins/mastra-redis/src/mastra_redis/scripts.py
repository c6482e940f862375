"""The two Lua scripts: READ answers a list of reads, WRITE checks and writes a list of steps, all or nothing.

They know no field and no key: a plan (ARGV[1], JSON) names keys by their number in KEYS and texts by their number in ARGV. Texts to store
are written as they come: cjson would turn `[]` into `{}` and 0.30000000000000004 into 0.3, so it only ever reads.

Records may be gone that a sorted set still names: they lived out their time, or another program deleted them. READ takes such names away
before it answers, so that no page is short; WRITE does so for a few at random, so that sets do not grow for ever.

A script is not undone when it fails in the middle, so everything that can fail is tried before the first write: conditions, and the type of
every key (ZCARD on each sorted set).
"""

from __future__ import annotations

NAMES = """
-- The key of a record and its place, which its alias tells; a place that comes last may be missing.
local function placed(o, name)
  local place = redis.call('GET', o.alias .. name)
  if not o.trails then return o.head .. (place or '') .. o.neck .. name, place end
  place = place or ''
  if place == '' then return o.head .. name, place end
  return o.head .. name .. o.neck .. place, place
end

local function key_of(o, id)
  local name = string.gsub(string.sub(id, o.skipped + 1), '%z', o.joint)
  if o.alias then return (placed(o, name)) end
  return o.head .. name
end
"""

READ = (
    NAMES
    + """
local plan = cjson.decode(ARGV[1])

local function text(number) return string.format('%.0f', number) end

-- A record's millisecond and the scores it spans. Beyond 2^53 a score is only near milliseconds * 1000.
local function block(score)
  if math.abs(score) < 9007199254740992 then
    local ms = math.floor(score / 1000)
    return ms, ms * 1000, ms * 1000 + 999
  end
  local ms = math.floor(score / 1000 + 0.5)
  return ms, ms * 1000 - 500, ms * 1000 + 499
end

-- Bytes, hence code points: Lua's own < follows the server's locale.
local function earlier(a, b)
  for i = 1, math.min(#a, #b) do
    local x, y = string.byte(a, i), string.byte(b, i)
    if x ~= y then return x < y end
  end
  return #a < #b
end

local function listed(key, o, low, high, ...)
  if o.down then return redis.call('ZREVRANGEBYSCORE', key, high, low, 'WITHSCORES', ...) end
  return redis.call('ZRANGEBYSCORE', key, low, high, 'WITHSCORES', ...)
end

-- How many of the cursor's own millisecond lie at or before the cursor.
local function passed(key, o)
  if not o.after then return 0 end
  local _, low, high = block(tonumber(o.after))
  local count = 0
  for _, member in ipairs(redis.call('ZRANGEBYSCORE', key, text(low), text(high))) do
    local beyond = earlier(o.cursor, member)
    if o.down then beyond = earlier(member, o.cursor) end
    if not beyond then count = count + 1 end
  end
  return count
end

-- The members of a page in the order (millisecond, id): the page is taken from whole milliseconds and sorted within each.
local function members(key, o)
  local skip = o.skip + passed(key, o)
  local first = listed(key, o, o.low, o.high, 'LIMIT', skip, 1)
  if #first == 0 then return {} end
  local low, high = o.low, o.high
  local _, from, to = block(tonumber(first[2]))
  local before
  if o.down then before = redis.call('ZCOUNT', key, '(' .. text(to), high); high = text(to)
  else before = redis.call('ZCOUNT', key, low, '(' .. text(from)); low = text(from) end
  if o.limit then
    local last = listed(key, o, o.low, o.high, 'LIMIT', skip + o.limit - 1, 1)
    if #last > 0 then
      local _, start, finish = block(tonumber(last[2]))
      if o.down then low = text(start) else high = text(finish) end
    end
  end
  local rows, found, tied = {}, listed(key, o, low, high), false
  for i = 1, #found, 2 do
    local ms = block(tonumber(found[i + 1]))
    rows[#rows + 1] = {ms, found[i]}
    if #rows > 1 and rows[#rows - 1][1] == ms then tied = true end
  end
  if tied then
    table.sort(rows, function(a, b)
      if o.down then a, b = b, a end
      if a[1] ~= b[1] then return a[1] < b[1] end
      return earlier(a[2], b[2])
    end)
  end
  local out, within = {}, skip - before
  local stop = #rows
  if o.limit then stop = math.min(stop, within + o.limit) end
  for i = within + 1, stop do out[#out + 1] = rows[i][2] end
  return out
end

-- unpack is limited by Lua's stack.
local function in_parts(list, size, use)
  for i = 1, #list, size do use(unpack(list, i, math.min(i + size - 1, #list))) end
end

local function keys_of(o, ids)
  local keys = {}
  for i, id in ipairs(ids) do keys[i] = key_of(o, id) end
  return keys
end

-- The texts of records, and the names of those that are gone.
local function bodies(o, ids)
  local keys, out, gone = keys_of(o, ids), {}, {}
  in_parts(keys, 1000, function(...)
    for _, body in ipairs(redis.call('MGET', ...)) do out[#out + 1] = body end
  end)
  for i, id in ipairs(ids) do
    -- MGET is silent about a value of another type, GET is not.
    if not out[i] and not redis.call('GET', keys[i]) then gone[#gone + 1] = id end
  end
  return out, gone
end

local function page(key, o)
  while true do
    local ids = members(key, o)
    local texts, gone = bodies(o, ids)
    if #gone == 0 then return {ids, texts} end
    in_parts(gone, 1000, function(...) redis.call('ZREM', key, ...) end)
  end
end

local function counted(key, o)
  if not o.head then return redis.call('ZCOUNT', key, o.low, o.high) end
  local sum = 0
  in_parts(keys_of(o, redis.call('ZRANGEBYSCORE', key, o.low, o.high)), 1000, function(...) sum = sum + redis.call('EXISTS', ...) end)
  return sum
end

local answers = {}
for i, o in ipairs(plan) do
  if o.op == 'get' then
    if not o.alias then answers[i] = {redis.call('GET', KEYS[o.key]), false}
    else
      local key, place = placed(o, o.name)
      answers[i] = {place and redis.call('GET', key), place}
    end
  elseif o.op == 'count' then answers[i] = counted(KEYS[o.key], o)
  elseif o.op == 'ids' then answers[i] = members(KEYS[o.key], o)
  else answers[i] = page(KEYS[o.key], o) end
end
return answers
"""
)

WRITE = (
    NAMES
    + """
local plan = cjson.decode(ARGV[1])
local found, places, met, spliced, raised, renewed, all = {}, {}, {}, {}, {}, {}, true

-- The text with a top-level string replaced, or nil where that cannot be done safely by looking at the text.
local function with(whole, name, old, new)
  local piece = '"' .. name .. '":"' .. old .. '"'
  local from, to = string.find(whole, piece, 1, true)
  if not from then return nil end
  local changed = string.sub(whole, 1, from - 1) .. '"' .. name .. '":"' .. new .. '"' .. string.sub(whole, to + 1)
  -- The piece may have been found inside another field.
  if cjson.decode(changed)[name] ~= new then return nil end
  return changed
end

-- The key of a sorted set that names a record, or nil where the record has no text there.
local function around(index, object)
  local value = ''
  if index.by then value = object[index.by] end
  if type(value) ~= 'string' then return nil end
  return index.before .. value .. index.after
end

-- Whether the record of step i may be touched: there and as demanded, or not there and that is fine.
local function touchable(i, s, whole)
  if not whole then return s.absent ~= 'refuse' end
  local fine, object = pcall(cjson.decode, whole)
  if not fine or type(object) ~= 'table' then return false end
  for _, pair in ipairs(s.equal) do if object[pair[1]] ~= pair[2] then return false end end
  local entries, others = {}, {}
  for _, index in ipairs(s.renew) do
    local key = around(index, object)
    if not key then return false end
    others[#others + 1] = key
  end
  for _, r in ipairs(s.raise) do
    local old = object[r.name]
    if type(old) ~= 'string' or not string.match(old, '^%d%d%d%d%-%d%d%-%d%dT%d%d:%d%d:%d%d%.%d%d%dZ$') then return false end
    local later = old < r.text
    if later then
      whole = with(whole, r.name, old, r.text)
      if not whole then return false end
      spliced[i] = whole
    end
    for _, index in ipairs(r.indexes) do
      local key = around(index, object)
      if not key then return false end
      redis.call('ZCARD', key)
      if later then entries[#entries + 1] = {key, index.score, s.member} else others[#others + 1] = key end
    end
  end
  raised[i], renewed[i] = entries, others
  return true
end

local function keyed(s, place)
  if not s.trails then return s.head .. place .. s.neck .. s.name end
  if place == '' then return s.head .. s.name end
  return s.head .. s.name .. s.neck .. place
end

for i, s in ipairs(plan) do
  local key, place = KEYS[s.key], s.place or false
  if s.alias then
    local at = redis.call('GET', KEYS[s.alias])
    -- Others write records with the place last, or without any, and no alias.
    if not at and s.trails and redis.call('EXISTS', key) == 0 then at = '' end
    if at and at ~= s.was then
      -- Without a head the record lies in another slot, if it is there: the caller has to look, and to say then what the alias was.
      if at ~= place then key = s.head and keyed(s, at) end
      place = at
    end
  end
  local whole = false
  if key then whole = redis.call('GET', key) end
  found[i], places[i], spliced[i] = whole, place, false
  if not key then met[i] = false
  elseif s.expect == 'new' then met[i] = not whole
  elseif s.expect == 'same' then met[i] = whole == ARGV[s.raw]
  elseif s.expect == 'touch' then met[i] = touchable(i, s, whole)
  elseif s.expect == 'equal' then met[i] = whole and (whole == ARGV[s.raw] or touchable(i, s, whole))
  else met[i] = false end
  all = all and met[i]
  for _, z in ipairs(s.add) do redis.call('ZCARD', KEYS[z[1]]) end
  for _, z in ipairs(s.remove) do redis.call('ZCARD', KEYS[z[1]]) end
end
if not all then
  for i = 1, #plan do met[i] = met[i] and 1 or 0 end
  return {0, met, found, places}
end

-- A set lives as long as what lives longest in it: for ever where a record without an end is in it.
local function lasting(key, left, ttl)
  if not ttl then
    if left >= 0 then redis.call('PERSIST', key) end
  elseif left == -2 or (left >= 0 and left < ttl) then redis.call('PEXPIRE', key, ttl) end
end

local function enter(key, score, member, ttl, kept)
  local left = redis.call('PTTL', key)
  if kept then redis.call('ZADD', key, 'NX', score, member) else redis.call('ZADD', key, score, member) end
  lasting(key, left, ttl)
end

local function stay(key, ttl)
  if ttl then redis.call('PEXPIRE', key, ttl) else redis.call('PERSIST', key) end
end

local function store(s, key, whole)
  if s.ttl then redis.call('SET', key, whole, 'PX', s.ttl) else redis.call('SET', key, whole) end
end

-- Each new name makes this look at three others, so that most of the dead ones go.
local function trim(key, o)
  for _, member in ipairs(redis.call('ZRANDMEMBER', key, 3)) do
    if redis.call('EXISTS', key_of(o, member)) == 0 then redis.call('ZREM', key, member) end
  end
end

for i, s in ipairs(plan) do
  if s.expect == 'touch' and found[i] then
    if spliced[i] then store(s, KEYS[s.key], spliced[i]) elseif s.ttl then redis.call('PEXPIRE', KEYS[s.key], s.ttl) end
    for _, z in ipairs(raised[i]) do enter(z[1], z[2], z[3], s.ttl) end
    for _, r in ipairs(renewed[i]) do
      local left = redis.call('PTTL', r)
      if left >= 0 then lasting(r, left, s.ttl) end
    end
  else
    for _, z in ipairs(s.remove) do redis.call('ZREM', KEYS[z[1]], z[2]) end
    for _, key in ipairs(s.delete) do redis.call('DEL', KEYS[key]) end
    for _, z in ipairs(s.add) do
      local ttl = s.ttl
      if z[5] == 1 then ttl = nil end
      enter(KEYS[z[1]], z[2], z[3], ttl, s.adopts or z[4] == 1)
    end
    if s.text then store(s, KEYS[s.key], ARGV[s.text]) end
    if s.settle then store(s, KEYS[s.settle], s.place) elseif s.text and s.alias then stay(KEYS[s.alias], s.ttl) end
  end
  if not s.answer then found[i] = false elseif spliced[i] then found[i] = spliced[i] end
end
for _, s in ipairs(plan) do
  for _, z in ipairs(s.add) do if z[6] then trim(KEYS[z[1]], z[6]) end end
end
return {1, found}
"""
)
