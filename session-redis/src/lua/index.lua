-- Puts a session into the index of its principal. KEYS[1]: the index.
-- ARGV: 1 the session's id, 2 its deadline, 3 now, 4 grace.
local key, deadline, now, grace = KEYS[1], ARGV[2], ARGV[3], ARGV[4]
redis.call('ZREMRANGEBYSCORE', key, 0, now - grace)
redis.call('ZADD', key, 'GT', deadline, ARGV[1])
local ttl = math.min(math.max(deadline - now, 0) + grace, 4503599627370496)
if redis.call('PTTL', key) < ttl then
  redis.call('PEXPIRE', key, string.format('%.0f', ttl))
end
return 1
