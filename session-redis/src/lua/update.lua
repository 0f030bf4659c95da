-- Changes a session that is there, and never creates one. KEYS[1]: the session.
-- ARGV: 1 now
--       2 the epoch that was loaded
--       3 the content to meet (a version, and perhaps a tag), or ''
--       4 the content that the update was made from, with its tag, or ''
--       5 the tag of what results, if that is there
--       6 limit of bytes
--       7 limit of keys
--       8 grace of the time to live
--       9 time last seen, or ''
--       10 size of the entries that are set
--       11 number of fields removed
--       12 'clear', 'plain' or ''
--       13 the new head, or ''
-- with a new head:
--       14 'p' and the principal, or ''
--       15 time to live, once the principal is indexed, or ''
--       16 number of pieces of metadata
--       then the pieces
-- 'plain' (see `plain.lua`):
--       14 what `s` is afterwards
--       15 `h`
-- then the fields removed, then the fields set, each followed by its value.
-- Answers: the version, if what results is what the writer has planned
--          the version, the principal that it had before, and 1: the same
--          the version, the principal that it had before or nothing: what others wrote is in it
--          0: gone
--          -1 and the session: conflict
--          -2, bytes, keys: too large
--          -3: index the principal first
--          -4: damaged
local key = KEYS[1]

-- Calls a command with a long list: Lua hands over some thousand arguments at most.
local function with(command, list)
  local replies = {}
  for from = 1, #list, 1000 do
    local reply = redis.call(command, key, unpack(list, from, math.min(from + 999, #list)))
    if type(reply) == 'table' then
      for i = 1, math.min(1000, #list - from + 1) do
        replies[from + i - 1] = reply[i]
      end
    end
  end
  return replies
end

local replaced = ARGV[13] ~= ''
local removed = replaced and 17 + ARGV[16] or ARGV[12] == 'plain' and 16 or 14
local set = removed + tonumber(ARGV[11])
local cleared = ARGV[12] == 'clear'

local names = {'s', 'h', 'p', 'w'}
if not cleared then
  for i = removed, set - 1 do
    names[#names + 1] = ARGV[i]
  end
  for i = set, #ARGV, 2 do
    names[#names + 1] = ARGV[i]
  end
end
local old = with('HMGET', names)

if not old[1] and not old[2] then
  return 0
end
local content, version, seen, size, count =
  string.match(old[1] or '', '^((%d+) %x+ )(%d+) (%d+) (%d+)$')
local epoch, deadline, idle, base = string.match(old[2] or '', '^(%d+) (%d+) (%d+) (%d+)$')
-- Up to 2^53 numbers are exact.
if not version or not epoch or tonumber(version) >= 9007199254740992 then
  return -4
end
local now = tonumber(ARGV[1])
if epoch ~= ARGV[2] or now >= math.min(seen + idle, deadline) then
  return 0
end
if ARGV[3] ~= '' and string.sub(content, 1, #ARGV[3]) ~= ARGV[3] then
  return {-1, redis.call('HGETALL', key)}
end
version, seen, size, count = tonumber(version), tonumber(seen), tonumber(size), tonumber(count)

-- What results, before anything is written: an error must leave nothing half done.
local before, number = size + base, count
if cleared then
  size, count = 0, 0
end
for i = 5, #names do
  local value = old[i]
  if value then
    local tag = string.byte(value) == 0 and 2 or 0
    size = size - (#names[i] - 1 + #value - tag + 9)
    count = count - 1
  end
end
-- What another program has put there was not counted.
size = math.max(size, 0) + ARGV[10]
count = math.max(count, 0) + (#ARGV - set + 1) / 2

local principal = false
if replaced then
  local later = deadline
  epoch, deadline, idle, base = string.match(ARGV[13], '^(%d+) (%d+) (%d+) (%d+)$')
  if ARGV[14] ~= '' then
    principal = string.sub(ARGV[14], 2)
    if ARGV[15] == '' and (principal ~= old[3] or tonumber(deadline) > tonumber(later)) then
      return -3
    end
  end
end
if size + base > before or count > number then
  if size + base > tonumber(ARGV[6]) or count > tonumber(ARGV[7]) then
    return {-2, size + base, count}
  end
end
local touched = replaced
if ARGV[9] ~= '' and (replaced or tonumber(ARGV[9]) > seen) then
  seen = tonumber(ARGV[9])
  touched = true
end

local gone = {}
if cleared then
  for _, field in ipairs(redis.call('HKEYS', key)) do
    if string.byte(field) == 46 then
      gone[#gone + 1] = field
    end
  end
else
  for i = removed, set - 1 do
    gone[#gone + 1] = ARGV[i]
  end
end
-- Until its writer has looked at the index again, a session lives for a while only, whoever else
-- writes.
local indexed = replaced and principal and ARGV[15] ~= ''
local probation = old[4] and not indexed
if replaced then
  if not principal then
    gone[#gone + 1] = 'p'
    gone[#gone + 1] = 'w'
    probation = false
  end
  -- Of four pieces at most those that are not needed any more.
  for i = ARGV[16] + 0, 3 do
    gone[#gone + 1] = 'm' .. i
  end
end

-- Before the values: where this is not permitted, nothing is done.
if touched and not probation then
  local ttl = ARGV[15]
  if not indexed then
    ttl = math.min(seen + idle, deadline) - now + ARGV[8]
    ttl = string.format('%.0f', math.min(math.max(ttl, 1), 4503599627370496))
  end
  redis.call('PEXPIRE', key, ttl)
end
with('HDEL', gone)

-- A writer knows what it has planned by its tag. What it has not seen gets another.
local exact, tag = content == ARGV[4], ARGV[5]
if not exact then
  local last = tonumber(string.sub(tag, -1), 16)
  tag = string.sub(tag, 1, -2) .. string.format('%x', last - last % 2 + 1)
end
local fields = {'s', string.format('%.0f %s %.0f %.0f %.0f', version + 1, tag, seen, size, count)}
if replaced then
  fields[3], fields[4] = 'h', ARGV[13]
  for i = 0, ARGV[16] - 1 do
    fields[#fields + 1] = i == 0 and 'm' or 'm' .. i
    fields[#fields + 1] = ARGV[17 + i]
  end
  if principal then
    fields[#fields + 1] = 'p'
    fields[#fields + 1] = principal
  end
  if indexed then
    fields[#fields + 1] = 'w'
    fields[#fields + 1] = string.format('%.0f', version + 1)
  end
end
for i = set, #ARGV do
  fields[#fields + 1] = ARGV[i]
end
with('HSET', fields)

local former = replaced and old[3] and old[3] ~= principal and old[3]
if not exact then
  return {version + 1, former}
elseif former then
  return {version + 1, former, 1}
end
return version + 1
