-- Ends a session. KEYS[1]: the session. ARGV: 1 'packed' if it is expected to be that, or '', 2 the principal that it must have, if any.
-- Answers how many sessions that were, and the principal.
local key = KEYS[1]
local principal = look(key, ARGV[1] ~= '').principal
if #ARGV > 1 and principal ~= ARGV[2] then
  return {0, principal}
end
return {redis.call('UNLINK', key), principal}
