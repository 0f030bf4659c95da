-- Adds a session whose id is new. KEYS[1]: the session.
-- ARGV: 1 now
--       2 time to live
--       3 the version with which its probation begins, or ''
--       then the session, as `put` takes it
-- Answers 1, or 0 if the id is taken.
local key = KEYS[1]
if redis.call('EXISTS', key) == 1 then
  local old = look(key, #ARGV == 4)
  if not old.epoch or tonumber(ARGV[1]) < math.min(old.seen + old.idle, old.deadline) then
    return 0
  end
  redis.call('UNLINK', key)
end
return put(key, 4, ARGV[2], ARGV[3] ~= '' and ARGV[3]) or 1
