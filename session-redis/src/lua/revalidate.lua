-- Reads sessions, unless they are still those that the reader has. KEYS: the sessions.
-- ARGV: for each what the reader has: a version and a tag, as both layouts write them
--       then 'packed' if it is expected to be that, or ''
-- Answers for each: 1 if that is there, else the session, or 0 if it has to be asked for alone.
local packed = ARGV[#KEYS + 1] ~= ''
-- A proxy that spreads keys over several servers goes by the first one. What is not here may be on
-- another server.
local many = #KEYS > 1

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

local function fields(key, content)
  local state = try('HGET', key, 's')
  if state == nil then
    return
  end
  if state and string.sub(state, 1, #content) == content then
    return 1
  end
  if many and not state then
    return 0
  end
  return redis.call('HGETALL', key)
end

local function text(key, content)
  -- The version with which probation began has 16 digits at most.
  local line = try('GETRANGE', key, 0, #content + 16)
  if line == nil then
    return
  end
  local start = string.match(line, '^%d+ ()')
  if start and string.sub(line, start, start + #content - 1) == content then
    return 1
  end
  if many and line == '' then
    return 0
  end
  return redis.call('GET', key)
end

local first, second = fields, text
if packed then
  first, second = text, fields
end
local answers = {}
for i, key in ipairs(KEYS) do
  local answer = first(key, ARGV[i])
  if answer == nil then
    -- It has the other layout, which is read by other commands.
    answer = many and 0 or second(key, ARGV[i])
  end
  answers[i] = answer
end
return answers
