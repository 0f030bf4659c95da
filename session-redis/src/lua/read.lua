-- Reads a session, whichever layout it has. KEYS[1]: the session.
-- One step, since it may be moving to and fro.
local text = try('GET', KEYS[1])
if text ~= nil then
  return text
end
return redis.call('HGETALL', KEYS[1])
