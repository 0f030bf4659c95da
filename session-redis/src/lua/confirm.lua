-- Whether a session that was indexed and then written has not been revoked in between.
-- KEYS[1]: the index.
-- ARGV: 1 the session's id
--       2 its deadline
-- Answers 1 or 0.
-- A score of -2^52 or less says revoked. One below 0 says that somebody missed the session before
-- it was written.
local score = redis.call('ZSCORE', KEYS[1], ARGV[1])
score = score and tonumber(score)
if not score or score <= -4503599627370496 then
  return 0
end
if score < 0 then
  redis.call('ZADD', KEYS[1], ARGV[2], ARGV[1])
end
return 1
