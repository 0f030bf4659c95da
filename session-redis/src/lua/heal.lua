-- Marks entries of an index, or removes them, if they have the score that was read.
-- KEYS[1]: the index.
-- ARGV, by threes: a session's id
--                  the score that was read
--                  the mark, or '' to remove the entry
-- A sign-in meanwhile changes the score, and so keeps the entry. Answers how many were removed.
local taken = 0
for i = 1, #ARGV, 3 do
  local score = redis.call('ZSCORE', KEYS[1], ARGV[i])
  if score and tonumber(score) == tonumber(ARGV[i + 1]) then
    if ARGV[i + 2] == '' then
      taken = taken + redis.call('ZREM', KEYS[1], ARGV[i])
    else
      redis.call('ZADD', KEYS[1], ARGV[i + 2], ARGV[i])
    end
  end
end
return taken
