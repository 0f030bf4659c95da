-- Deletes a session, and leaves a mark in its place. KEYS[1]: the session.
-- ARGV: 1 'packed' if it is expected to be that, or ''
--       2 'p' and the principal that it must have, or ''
--       3 until when the mark says that it ended, or '' for no mark
--       4 the mark's time to live
--       then the mark, as `put` takes it
-- Answers how many sessions were deleted, and the principal; and 1 if something is there that names
-- no principal.
local key = KEYS[1]
local it = look(key, ARGV[1] ~= '')
local principal = it.principal or false
if is_mark(it) then
  return {0, false, 0}
end
if ARGV[2] ~= '' and principal ~= string.sub(ARGV[2], 2) then
  return {0, principal, principal == false and not it.absent and 1 or 0}
end
-- First: that makes room for the mark. Where there is none, the session has ended all the same.
local ended = redis.call('UNLINK', key)
-- One that was active when the mark is over has ended long ago, by its writer's account.
if ended == 1 and ARGV[3] ~= '' and not (it.epoch and tonumber(it.seen) >= tonumber(ARGV[3])) then
  pcall(put, key, 5, ARGV[4])
end
return {ended, principal}
