-- Takes a session off probation. KEYS[1]: the session.
-- ARGV: 1 the version with which its probation began, 2 now, 3 grace of the time to live.
-- Answers 1, or 0 if it is gone. Where somebody else's probation has begun, that one will end it.
local key = KEYS[1]
local old = redis.call('HMGET', key, 's', 'h', 'w')
local seen = string.match(old[1] or '', '^%d+ (%d+) %d+ %d+$')
local deadline, idle = string.match(old[2] or '', '^%d+ (%d+) (%d+) %d+$')
if not seen or not deadline then
  return 0
end
if old[3] == ARGV[1] then
  local ttl = math.min(seen + idle, deadline) - ARGV[2] + ARGV[3]
  redis.call('PEXPIRE', key, string.format('%.0f', math.min(math.max(ttl, 1), 4503599627370496)))
  redis.call('HDEL', key, 'w')
end
return 1
