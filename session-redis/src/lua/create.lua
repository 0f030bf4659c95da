-- Adds a session whose id is new. KEYS[1]: the session.
-- ARGV: 1 now, 2 time to live, then fields and values by turns.
-- Answers 1, or 0 if the id is taken.
local key = KEYS[1]
if redis.call('EXISTS', key) == 1 then
  local old = redis.pcall('HMGET', key, 's', 'h')
  if old.err or not old[1] or not old[2] then
    return 0
  end
  local seen = string.match(old[1], '^%d+ (%d+) %d+ %d+$')
  local deadline, idle = string.match(old[2], '^%d+ (%d+) (%d+) %d+$')
  if not seen or not deadline then
    return 0
  end
  if tonumber(ARGV[1]) < math.min(seen + idle, deadline) then
    return 0
  end
  redis.call('UNLINK', key)
end
for from = 3, #ARGV, 1000 do
  redis.call('HSET', key, unpack(ARGV, from, math.min(from + 999, #ARGV)))
end
local kept = redis.pcall('PEXPIRE', key, ARGV[2])
if type(kept) == 'table' then
  -- It is not permitted, and what never expires is not to stay.
  redis.call('UNLINK', key)
  return kept
end
return 1
