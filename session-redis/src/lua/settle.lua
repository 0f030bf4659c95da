-- Takes a session off probation. KEYS[1]: the session.
-- ARGV: 1 the version with which its probation began
--       2 now
--       3 grace of the time to live
--       4 'packed' if it is expected to be that, or ''
-- Answers 1, or 0 if it is gone. If somebody else's probation has begun, that writer ends it.
local key = KEYS[1]
local old = look(key, ARGV[4] ~= '')
if not old.epoch or is_mark(old) then
  return 0
end
if old.probation == ARGV[1] then
  local ttl = math.min(old.seen + old.idle, old.deadline) - ARGV[2] + ARGV[3]
  ttl = string.format('%.0f', math.min(math.max(ttl, 1), 4503599627370496))
  if old.fields then
    redis.call('PEXPIRE', key, ttl)
    redis.call('HDEL', key, 'w')
  else
    redis.call('SET', key, '0' .. string.sub(redis.call('GET', key), #old.probation + 1), 'PX', ttl)
  end
end
return 1
