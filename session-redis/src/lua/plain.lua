-- Begins `update.lua`. If the version that the update was made from is there, and the update only
-- sets values, the result is known and nothing has to be counted. Most updates are like that.
if ARGV[10] == 'plain' then
  local old = redis.call('HMGET', KEYS[1], 's', 'h')
  if old[2] == ARGV[14] and old[1] and string.match(old[1], '^(%d+ %d+ )%d+ %d+$') == ARGV[12] then
    redis.call('HSET', KEYS[1], 's', ARGV[13], unpack(ARGV, 15))
    return tonumber(string.match(ARGV[13], '^%d+'))
  end
end

