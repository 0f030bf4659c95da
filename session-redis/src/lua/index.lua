-- Puts a session into the index of its principal. KEYS[1]: the index.
-- ARGV: 1 the session's id
--       2 its deadline
--       3 now
--       4 grace
-- Answers 1 if it comes to others, 0 if it is the first or was there.
local key, deadline, now, grace = KEYS[1], ARGV[2], ARGV[3], ARGV[4]
redis.call('ZREMRANGEBYSCORE', key, 0, now - grace)
local added = redis.call('ZADD', key, 'GT', deadline, ARGV[1])
local ttl = math.min(math.max(deadline - now, 0) + grace, 4503599627370496)
local left = redis.call('PTTL', key)
if left < ttl then
  redis.call('PEXPIRE', key, string.format('%.0f', ttl))
end
return left < 0 and 0 or added
