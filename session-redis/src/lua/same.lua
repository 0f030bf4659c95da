-- Begins `replace.lua`. If the text that was loaded is still there, nothing else has to be looked
-- at. Most updates are like that, and this takes two thirds of the work.
if ARGV[8] ~= '' and redis.pcall('GETRANGE', KEYS[1], 0, #ARGV[8] - 1) == ARGV[8] then
  redis.call('SET', KEYS[1], ARGV[9], 'PX', ARGV[4])
  return string.match(ARGV[3], '^%d+') + 1
end

