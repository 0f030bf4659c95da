-- Adds an entry that an index lacks. KEYS[1]: the index.
-- ARGV: 1 the session's id
--       2 the score, which is a mark
--       3 the session's deadline
--       4 now
--       5 grace
-- Answers 1, or 0 if there is one.
local key = KEYS[1]
if redis.call('ZADD', key, 'NX', ARGV[2], ARGV[1]) == 0 then
  return 0
end
local ttl = math.min(math.max(ARGV[3] - ARGV[4], 0) + ARGV[5], 4503599627370496)
if redis.call('PTTL', key) < ttl then
  redis.call('PEXPIRE', key, string.format('%.0f', ttl))
end
return 1
