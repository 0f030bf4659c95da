-- Reads a session, unless it is still the one that the reader has. KEYS[1]: the session.
-- ARGV: 1 what the reader has: a version and a tag, as both layouts write them
--       2 'packed' if it is expected to be that, or ''
-- Answers 1 if that is there, and else the session.
local key, content = KEYS[1], ARGV[1]

-- Nothing if the key holds something of another kind. Any other refusal is one of the whole script.
local function try(command, ...)
  local reply = redis.pcall(command, ...)
  if type(reply) ~= 'table' or not reply.err then
    return reply
  end
  if not string.find(reply.err, 'WRONGTYPE', 1, true) then
    return redis.call(command, ...)
  end
end

local function fields()
  local state = try('HMGET', key, 's')
  if not state then
    return
  end
  if state[1] and string.sub(state[1], 1, #content) == content then
    return 1
  end
  return redis.call('HGETALL', key)
end

local function text()
  -- The version with which probation began has 16 digits at most.
  local line = try('GETRANGE', key, 0, #content + 16)
  if line == nil then
    return
  end
  local start = string.match(line, '^%d+ ()')
  if start and string.sub(line, start, start + #content - 1) == content then
    return 1
  end
  return redis.call('GET', key)
end

local first, second = fields, text
if ARGV[2] ~= '' then
  first, second = text, fields
end
local answer = first()
if answer == nil then
  return second()
end
return answer
