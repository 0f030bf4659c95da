-- Begins `update.lua`: where the version is there that the update was made from, and all it does is to set values, the result is known, and
-- nothing has to be counted. That is most of all updates.
if ARGV[10] == 'plain' then
  local old = redis.call('HMGET', KEYS[1], 's', 'h')
  if old[2] == ARGV[14] and old[1] and string.match(old[1], '^(%d+ %d+ )%d+ %d+$') == ARGV[12] then
    redis.call('HSET', KEYS[1], 's', ARGV[13], unpack(ARGV, 15))
    return tonumber(string.match(ARGV[13], '^%d+'))
  end
end

