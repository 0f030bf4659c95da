-- Puts a session into the place of one that is there, whichever layout that has, and never creates
-- one. KEYS[1]: the session.
-- ARGV: 1 now
--       2 the epoch that was loaded
--       3 the content to meet (a version, and perhaps a tag), or '' for one that is never there
--       4 time to live
--       5 'indexed' once its principal is indexed, or ''
--       6 'p' and the principal, or ''
--       7 deadline
--       8 how the text that was loaded begins, if nothing of that changes but the content, or ''
--       then the session, as `put` takes it
-- Answers: the version
--          the version, the principal that it had before, and 1
--          0: gone
--          -1 and the session: conflict
--          -3: index the principal first
--          -4: damaged
local key, packed = KEYS[1], #ARGV == 9
local old = look(key, packed)
if old.absent then
  return 0
end
-- Up to 2^53 numbers are exact.
if not old.epoch or tonumber(old.version) >= 9007199254740992 then
  return -4
end
if old.epoch ~= ARGV[2] or tonumber(ARGV[1]) >= math.min(old.seen + old.idle, old.deadline) then
  return 0
end
if not is_content(old, ARGV[3]) then
  return {-1, redis.call(old.fields and 'HGETALL' or 'GET', key)}
end
local principal = ARGV[6] ~= '' and string.sub(ARGV[6], 2)
local indexed = ARGV[5] ~= ''
local later = tonumber(ARGV[7]) > tonumber(old.deadline)
if principal and not indexed and (principal ~= old.principal or later) then
  return -3
end

local version = old.version + 1
-- Until its writer has looked at the index again, a session lives for a while only, whoever else
-- writes.
local ttl, probation = ARGV[4], indexed and version
if principal and old.probation and not indexed then
  probation = old.probation
  local left = redis.call('PTTL', key)
  ttl = left < 0 and ttl or math.max(left, 1)
end
if not packed then
  -- Where this is not permitted, nothing is done.
  redis.call('PEXPIRE', key, ttl)
  redis.call('UNLINK', key)
end
local failed = put(key, 9, ttl, probation)
if failed then
  return failed
end
if old.principal and old.principal ~= principal then
  return {version, old.principal, 1}
end
return version
