-- Takes entries whose sessions are missing out of an index. KEYS[1]: the index.
-- ARGV: 1 now, 2 how long a session must have been missed, then ids.
-- A session may be on its way, so the first time its entry is only marked with the time.
for i = 3, #ARGV do
  local score = redis.call('ZSCORE', KEYS[1], ARGV[i])
  score = score and tonumber(score)
  if score and score >= 0 then
    redis.call('ZADD', KEYS[1], '-' .. ARGV[1], ARGV[i])
  elseif score and score < -1 and ARGV[1] + score >= tonumber(ARGV[2]) then
    redis.call('ZREM', KEYS[1], ARGV[i])
  end
end
return 1
