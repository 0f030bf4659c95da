-- Ends a session. KEYS[1]: the session. ARGV: 1 'packed' if it is expected to be that, or '', 2 the principal that it must have, if any.
-- Answers how many sessions that were, and the principal; and 1 if something is there that does not say whose it is.
local key = KEYS[1]
local it = look(key, ARGV[1] ~= '')
local principal = it.principal or false
if #ARGV > 1 and principal ~= ARGV[2] then
  return {0, principal, principal == false and not it.absent and 1 or 0}
end
return {redis.call('UNLINK', key), principal}
