-- Begins `update.lua`. If the version that the update was made from is there, and the update only
-- sets values, the result is known and nothing has to be counted. Most updates are like that.
if ARGV[12] == 'plain' then
  local old = redis.call('HMGET', KEYS[1], 's', 'h')
  if old[2] == ARGV[15] and old[1] and string.sub(old[1], 1, #ARGV[4]) == ARGV[4] then
    redis.call('HSET', KEYS[1], 's', ARGV[14], unpack(ARGV, 16))
    return tonumber(string.match(ARGV[14], '^%d+'))
  end
end

